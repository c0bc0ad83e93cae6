#pragma once
// The policy as an immutable value: what may leave, what is put in, and where it goes instead.
// Built by load.hpp, asked by decide.hpp. Pure: no sockets, no clock, no environment.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/policy/host_pattern.hpp"
#include "gateway/policy/path.hpp"

namespace sallyport::policy {

/// Where in a policy file something stands. Lines and columns count from 1.
/// The file of a preset is "preset:NAME".
struct SourcePosition {
    std::string file;
    std::uint32_t line = 0;
    std::uint32_t column = 0;

    std::string to_string() const;  ///< "file:line", as the audit log and refusals name a rule
};

enum class Action { allow, deny };

/// What becomes of what the policy denies. `audit`: it is let through where some rule could let it through, and the
/// verdict says so (Verdict::would_deny). What no rule can allow stays refused.
enum class Mode { enforce, audit };

/// One `key = "value"` of a rule's `query` table; `*` in the value matches any run of characters. In an allow rule
/// the key must be there exactly once; in a deny rule one occurrence that matches is enough.
struct QueryPattern {
    std::string key;
    std::string value;
};

/// One [[allow]] or [[deny]]. Every field that is set must match. Lists match when one entry does.
struct Rule {
    Action action = Action::allow;
    std::vector<HostPattern> hosts;
    std::vector<std::uint16_t> ports;  ///< empty: 80 and 443; in a deny rule: every port
    std::vector<std::string> methods;  ///< empty: all
    std::vector<PathPattern> paths;    ///< empty: all
    std::vector<QueryPattern> query;   ///< all of them must be present
    bool private_addresses = false;    ///< the name may resolve to loopback, private or link-local addresses
    bool pass_through = false;         ///< tls = "passthrough": TLS is relayed untouched, not intercepted
    SourcePosition where;

    /// Method, path or query matter: nothing that hides them can satisfy an allow or escape a deny.
    bool needs_request() const { return !methods.empty() || !paths.empty() || !query.empty(); }
    bool covers_port(std::uint16_t port) const;
    /// Allows HTTP requests (as opposed to `pass_through`, which allows nothing but TLS relayed untouched).
    bool allows_requests() const { return action == Action::allow && !pass_through; }
    /// Protocols other than HTTP may use the rule: it names a port beside 80 and 443 and asks nothing of a request.
    bool grants_tcp(std::uint16_t port) const;
};

/// Where a secret's value comes from. Exactly one is set.
struct SecretSource {
    std::optional<std::string> env;
    std::optional<std::string> file;  ///< absolute, or relative to the policy file (already joined)
    std::optional<std::vector<std::string>> command;

    bool operator==(const SecretSource&) const = default;
};

/// Of a request to a secret's hosts.
struct PlaceholderPlaces {
    bool header = true;
    bool path = false;
    bool query = false;
    bool json = false;  ///< a body of that Content-Type
    bool form = false;  ///< likewise, application/x-www-form-urlencoded
};

/// One [[secret]]. The value itself is never part of a policy.
struct SecretRule {
    std::string name;
    std::vector<HostPattern> hosts;          ///< bound: sent nowhere else
    std::optional<std::string> header;       ///< set on every request to the hosts, replacing what the client sent
    std::string format = "{}";               ///< the header's value; "{}" stands for the secret
    std::optional<std::string> basic_user;   ///< HTTP Basic with this user name (header is then Authorization)
    std::optional<std::string> placeholder;  ///< replaced wherever it stands in these places of a request to the hosts
    PlaceholderPlaces placeholder_in;
    SecretSource value;
    SourcePosition where;
};

/// One [[route]]: the same host to the client, another origin.
struct Route {
    std::string host;  ///< canonical
    bool tls = true;
    std::string to_host;  ///< canonical name or address text
    std::uint16_t to_port = 443;
    SourcePosition where;
};

enum class TlsVersion { v1_2, v1_3 };

/// One [[origin]]: how TLS is made to a host that is dialled. What the files hold is never part of a policy.
struct OriginRule {
    std::vector<HostPattern> hosts;
    // Absolute, or relative to the policy file (already joined):
    std::optional<std::string> ca;                  ///< authorities trusted for it, beside the system's
    std::optional<std::string> client_certificate;  ///< with its chain; set exactly when `client_key` is
    std::optional<std::string> client_key;
    TlsVersion min_tls = TlsVersion::v1_2;
    SourcePosition where;

    bool same_files(const OriginRule& other) const;
};

/// One [[publish]]: a port that programs in the sandbox listen on, to be connected to from outside.
struct Publication {
    std::uint16_t port = 0;    ///< in the sandbox, on its loopback address
    std::uint16_t listen = 0;  ///< on the gateway
    SourcePosition where;

    bool same_ports(const Publication& other) const { return port == other.port && listen == other.listen; }
};

/// Immutable once built; shared between threads as shared_ptr<const Policy>.
class Policy {
public:
    Policy(std::vector<Rule> rules, std::vector<SecretRule> secrets, std::vector<Route> routes,
           std::vector<Publication> publications = {}, Mode mode = Mode::enforce, std::vector<OriginRule> origins = {});

    Mode mode() const { return mode_; }
    const std::vector<Rule>& rules() const { return rules_; }
    const std::vector<SecretRule>& secrets() const { return secrets_; }
    const std::vector<Publication>& publications() const { return publications_; }
    const std::vector<OriginRule>& origins() const { return origins_; }
    const Route* route_for(std::string_view host) const;
    /// Of those that match the host the one whose pattern says most of it: the name itself, then the longest
    /// "*.domain" or network. Nothing is taken from the others.
    const OriginRule* origin_for(std::string_view host) const;
    /// False when no rule allows anything on this port, whatever the host; 80 and 443 always may carry something, and
    /// in audit mode every port may.
    bool allows_port(std::uint16_t port) const;

    /// Rules whose host pattern matches `host` (canonical name or address text), in file order.
    /// The cost does not grow with the number of rules for other hosts.
    std::vector<const Rule*> rules_for(std::string_view host) const;
    /// Secrets bound to `host`.
    std::vector<const SecretRule*> secrets_for(std::string_view host) const;
    /// True when some allow rule names a host below `name` ("*.example.com" makes "example.com" and "com" such).
    bool has_allowed_descendant(std::string_view name) const;

private:
    std::vector<Rule> rules_;
    std::vector<SecretRule> secrets_;
    std::vector<Route> routes_;
    std::vector<Publication> publications_;
    std::vector<OriginRule> origins_;
    Mode mode_;
    /// Built once and shared by copies: it holds positions in the lists above, not addresses.
    struct Index;
    std::shared_ptr<const Index> index_;
};

}  // namespace sallyport::policy
