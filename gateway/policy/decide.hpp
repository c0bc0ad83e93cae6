#pragma once
// The decision: (policy, facts) -> verdict. The same function answers the proxy, the DNS server and `explain`.

#include <string>
#include <string_view>

#include "gateway/policy/policy.hpp"

namespace sallyport::policy {

/// Where a connection or request wants to go, by name: what it proved to be (SNI, Host, virtual address).
struct Destination {
    std::string host;  ///< canonical (canonical_host)
    std::uint16_t port = 0;
};

enum class Reason {
    allowed,              ///< an allow rule matches and no deny rule does
    denied_by_rule,       ///< a deny rule matches
    no_rule,              ///< nothing names this host and port
    no_rule_for_request,  ///< the host is named, but not with this method, path or query
    needs_request,        ///< a rule for this host depends on method or path, which this protocol hides
};

/// `rule` is the line that decided: the allow (the first that matches, but one with private = true before others), or
/// the deny; null when nothing matched. Valid as long as the policy.
/// `would_deny`: allowed only because the policy's mode is audit; reason and rule are those of the denial.
struct Verdict {
    bool allowed = false;
    Reason reason = Reason::no_rule;
    const Rule* rule = nullptr;
    bool would_deny = false;
};

struct RequestFacts {
    std::string_view method;
    const Target& target;
};

/// One HTTP request, over TLS that the gateway ends or plain. An explicit deny wins over any allow, whatever the
/// order. A rule with tls = "passthrough" allows no request: it speaks of TLS that the gateway does not end.
/// Allow rules take method and path as they are; deny rules ignore letter case and a trailing slash.
Verdict decide_request(const Policy&, const Destination&, const RequestFacts&);

/// Bytes that the gateway will not look into: TLS passed through (`tls` true: needs a rule with
/// tls = "passthrough") or another protocol (needs Rule::grants_tcp). A deny rule that depends on the request
/// counts as matching, since it cannot be ruled out: TLS to such a host is then to be intercepted. A pass-through
/// rule that covers the host and port wins over intercepting allow rules for them, whose paths it bypasses.
/// `needs_request` carries the deny or the allow rule that could only be judged with a request.
Verdict decide_stream(const Policy&, const Destination&, bool tls);

/// The allow rule that some request to `to` may come under, before there is one; of several, one with private = true.
/// Null where none will be allowed whatever it asks, or only because the mode is audit.
const Rule* rule_for_some_request(const Policy&, const Destination&);

enum class Resolution { no, only_in_audit, yes };

/// Whether a DNS question for this name gets an address: `yes` when some allow rule names it on some port, and no deny
/// rule takes the whole host away.
Resolution resolution(const Policy&, std::string_view canonical_name);

/// One sentence for people: "no rule allows POST /gists on api.github.com:443". `rule` positions included. Printable
/// ASCII of bounded length, whatever the client sent. `request` is null for a stream.
std::string describe(const Verdict&, const Destination&, const RequestFacts* request);

/// The lines of TOML that would allow it and nothing else of that path, ready to paste. For a stream, `request` is
/// null. Where no rule can allow it (opaque bytes on port 443, a method in lower case) a TOML comment says why.
/// It does not look at the policy: after a deny, that rule must go as well.
std::string suggest_rule(const Destination&, const RequestFacts* request, bool tls);

}  // namespace sallyport::policy
