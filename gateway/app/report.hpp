#pragma once
// What a run says of itself: loudly when nothing is enforced, and at the end what happened.

#include <optional>
#include <string>

#include "gateway/audit/audit.hpp"
#include "gateway/base/unique_fd.hpp"
#include "gateway/policy/policy.hpp"

namespace sallyport::app {

struct ReportOptions {
    bool quiet = false;                        ///< nothing on stderr but that nothing was enforced
    std::optional<std::string> markdown_file;  ///< $GITHUB_STEP_SUMMARY: the table is appended here
    bool fail_on_deny = false;
};

/// Exit status when something was denied, the command itself was content and --fail-on-deny was asked for.
inline constexpr int kDeniedStatus = 1;

class Report {
public:
    /// Opens the Markdown file, so that whoever is guarded cannot choose where the table goes. Throws StartupError.
    Report(ReportOptions, policy::Mode);

    /// In audit mode: says so on stderr.
    void announce() const;
    /// The summary on stderr; the table as well when anything but a plain run was asked for; the Markdown. True when
    /// something was denied (audit mode: would have been) and that is to show in the exit status.
    bool print(const audit::Audit&) const;

private:
    void append_markdown(const std::string& text) const;

    ReportOptions options_;
    policy::Mode mode_;
    UniqueFd markdown_;
};

}  // namespace sallyport::app
