#include "gateway/app/report.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include "gateway/audit/table.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::app {

Report::Report(ReportOptions options, policy::Mode mode) : options_(std::move(options)), mode_(mode) {
    if (!options_.markdown_file) return;
    markdown_ =
        UniqueFd(::open(options_.markdown_file->c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644));
    if (!markdown_) throw system_error("the summary " + *options_.markdown_file + " cannot be opened", errno);
}

void Report::announce() const {
    if (mode_ == policy::Mode::audit)
        fmt::print(
            stderr,
            "sallyport: AUDIT MODE: the policy is NOT enforced. What it would deny is let through and logged.\n");
}

bool Report::print(const audit::Audit& audit) const {
    const auto ledger = audit.ledger();
    const bool audited = mode_ == policy::Mode::audit;
    const bool denied = ledger.denied_anything() && options_.fail_on_deny;
    if (!options_.quiet) {
        fmt::print(stderr, "{}", audit.summary());
        if (audited || options_.fail_on_deny || markdown_) fmt::print(stderr, "{}", audit::table_text(ledger));
    }
    if (markdown_) append_markdown(audit::table_markdown(ledger, !audited));
    if (audited) fmt::print(stderr, "sallyport: AUDIT MODE: NOTHING WAS ENFORCED.\n");
    if (denied)
        fmt::print(stderr, "sallyport: something {}, and --fail-on-deny was given\n",
                   audited ? "would be denied" : "was denied");
    return denied;
}

void Report::append_markdown(const std::string& text) const {
    for (std::string_view rest = text; !rest.empty();) {
        const auto written = ::write(markdown_.get(), rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            fmt::print(stderr, "sallyport: the summary {} cannot be written: {}\n", *options_.markdown_file,
                       std::strerror(errno));
            return;
        }
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
}

}  // namespace sallyport::app
