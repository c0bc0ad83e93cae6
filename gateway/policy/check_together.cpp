#include <algorithm>

#include "gateway/policy/readers.hpp"
#include "gateway/policy/uri_text.hpp"

namespace sallyport::policy {

namespace {

bool overlap(const std::vector<HostPattern>& a, const std::vector<HostPattern>& b) {
    return std::any_of(a.begin(), a.end(), [&](const HostPattern& x) {
        return std::any_of(b.begin(), b.end(), [&](const HostPattern& y) { return x.overlaps(y); });
    });
}

bool bound_to(const SecretRule& secret, std::string_view host) {
    return std::any_of(secret.hosts.begin(), secret.hosts.end(), [&](const auto& h) { return h.matches(host); });
}

/// The header that the secret sets, in lower case; empty when it only replaces a placeholder.
std::string header_of(const SecretRule& secret) {
    std::string header = secret.basic_user ? "authorization" : secret.header.value_or("");
    std::transform(header.begin(), header.end(), header.begin(), ascii_lower);
    return header;
}

void check_pair(const SecretRule& earlier, const SecretRule& later, Mistakes& mistakes) {
    const std::string other = "the secret at " + earlier.where.to_string();
    if (!later.name.empty() && later.name == earlier.name)
        mistakes.add(later.where, "the name " + in_quotes(later.name) + " is taken by " + other);
    const std::string header = header_of(later);
    if (!header.empty() && header == header_of(earlier) && overlap(earlier.hosts, later.hosts))
        mistakes.add(later.where, other + " sets the header " + in_quotes(header) + " for the same host already");
    if (!later.placeholder || !earlier.placeholder) return;
    if (later.placeholder->find(*earlier.placeholder) != std::string::npos ||
        earlier.placeholder->find(*later.placeholder) != std::string::npos)
        mistakes.add(later.where, "the placeholder is part of, or holds, that of " + other);
}

}  // namespace

void check_together(const std::vector<Rule>& rules, const std::vector<SecretRule>& secrets,
                    const std::vector<Route>& routes, Mistakes& mistakes) {
    for (std::size_t i = 0; i < secrets.size(); ++i)
        for (std::size_t k = 0; k < i; ++k) check_pair(secrets[k], secrets[i], mistakes);
    for (std::size_t i = 0; i < routes.size(); ++i)
        for (std::size_t k = 0; k < i; ++k)
            if (!routes[i].host.empty() && routes[i].host == routes[k].host)
                mistakes.add(routes[i].where, "the host has a route already, at " + routes[k].where.to_string());
    for (const SecretRule& secret : secrets) {
        for (const Route& route : routes)
            if (!route.tls && (bound_to(secret, route.host) || bound_to(secret, route.to_host)))
                mistakes.add(route.where, "the secret " + in_quotes(secret.name) +
                                              " is bound to this host and never goes over http://");
        for (const Rule& rule : rules)
            if (rule.pass_through && overlap(rule.hosts, secret.hosts))
                mistakes.add(rule.where, "tls = \"passthrough\" hides the requests that the secret " +
                                             in_quotes(secret.name) + " would be put into: leave one of them out");
    }
}

}  // namespace sallyport::policy
