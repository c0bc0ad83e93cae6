#include "gateway/app/status_text.hpp"

#include <fmt/format.h>

#include "container/files.hpp"
#include "container/process_status.hpp"

namespace sallyport::app {
namespace {

/// Every line two spaces further in.
std::string indented(const std::string& lines) {
    std::string out = "  ";
    for (const char c : lines) out += c == '\n' ? std::string("\n  ") : std::string(1, c);
    return out;
}

}  // namespace

std::string status_text(const Serving& serving, const Reloader& reloader, const audit::Audit& audit) {
    const auto& rules = reloader.rules();
    const auto& last = reloader.last();
    const auto totals = audit.totals();
    std::string out = fmt::format("sallyport {}, {}: {}\n", SALLYPORT_VERSION, serving.form,
                                  serving.problem.empty() ? "serving" : serving.problem);
    out += fmt::format("policy:   {}, {} rules, {} secrets, read {}\n", reloader.policy_file(),
                       rules.policy->rules().size(), rules.policy->secrets().size(),
                       audit::format_time(reloader.loaded_at()));
    if (!last.mistakes.empty())
        out += fmt::format("          NOT what the file says now; at {} it could not be taken over:\n{}\n",
                           audit::format_time(last.at), indented(last.mistakes));
    out += fmt::format("sessions: {}\n", serving.sessions);
    out += fmt::format("requests: {} allowed, {} refused; {} names not resolved; {} packets rejected; {} alarms\n",
                       totals.allowed, totals.refused, totals.names, totals.packets, totals.alarms);
    out += fmt::format("audit:    {}\n", audit.healthy() ? "good" : "CANNOT BE WRITTEN: nothing is served");
    out +=
        fmt::format("gateway:  {}, {}\n",
                    to_string(container::parse_process_status(container::read_file("/proc/self/status").value_or(""))),
                    serving.files_locked ? "files read-only" : "files as that user may (no Landlock in this kernel)");
    return out;
}

}  // namespace sallyport::app
