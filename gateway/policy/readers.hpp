#pragma once
// One table of a policy -> one value. What does not fit is reported; the value is then not to be used.

#include <vector>

#include "gateway/policy/section.hpp"

namespace sallyport::policy {

Rule read_rule(const Node& node, Action action, Mistakes& mistakes);
SecretRule read_secret(const Node& node, Mistakes& mistakes);
Route read_route(const Node& node, Mistakes& mistakes);
Publication read_publication(const Node& node, Mistakes& mistakes);
OriginRule read_origin(const Node& node, Mistakes& mistakes);
/// The patterns of a table's `host` key, which must be there.
std::vector<HostPattern> read_hosts(const Section& section, Mistakes& mistakes);

/// What only shows when all tables are seen: names used twice, secrets in each other's way or on plaintext.
void check_together(const std::vector<Rule>& rules, const std::vector<SecretRule>& secrets,
                    const std::vector<Route>& routes, Mistakes& mistakes);
/// Two cannot listen on one port.
void check_publications(const std::vector<Publication>& publications, Mistakes& mistakes);
/// Two for the same host, or one for a host that is never dialled since a route leads elsewhere.
void check_origins(const std::vector<OriginRule>& origins, const std::vector<Route>& routes, Mistakes& mistakes);

}  // namespace sallyport::policy
