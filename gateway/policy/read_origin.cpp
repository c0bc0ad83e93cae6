#include <algorithm>
#include <filesystem>

#include "gateway/policy/readers.hpp"

namespace sallyport::policy {

namespace {

std::optional<std::string> read_path(const Section& section, std::string_view key) {
    const auto path = section.text(key);
    if (!path) return std::nullopt;
    if (path->value.empty() || path->value.find('\0') != std::string::npos)
        section.mistake(path->where, std::string(key) + " is the path of a file");
    return (std::filesystem::path(path->where.file).parent_path() / path->value).string();
}

TlsVersion read_version(const Section& section) {
    const auto version = section.text("min_tls");
    if (version && version->value != "1.2" && version->value != "1.3")
        section.mistake(version->where, "min_tls is \"1.2\" or \"1.3\", not " + in_quotes(version->value));
    return version && version->value == "1.3" ? TlsVersion::v1_3 : TlsVersion::v1_2;
}

bool share_a_pattern(const OriginRule& a, const OriginRule& b) {
    return std::any_of(a.hosts.begin(), a.hosts.end(), [&](const HostPattern& x) {
        return std::any_of(b.hosts.begin(), b.hosts.end(),
                           [&](const HostPattern& y) { return x.to_string() == y.to_string(); });
    });
}

}  // namespace

OriginRule read_origin(const Node& node, Mistakes& mistakes) {
    const Section section(node, "[[origin]]", {"host", "ca", "client_certificate", "client_key", "min_tls"}, mistakes);
    OriginRule origin;
    origin.where = node.where;
    origin.hosts = read_hosts(section, mistakes);
    origin.ca = read_path(section, "ca");
    origin.client_certificate = read_path(section, "client_certificate");
    origin.client_key = read_path(section, "client_key");
    origin.min_tls = read_version(section);
    const auto* table = node.as<Node::Table>();
    if (table && !section.find("client_certificate") != !section.find("client_key"))
        section.mistake(node.where, "client_certificate and client_key go together; both may name the same file");
    if (table && !section.find("ca") && !section.find("client_certificate") && !section.find("client_key") &&
        !section.find("min_tls"))
        section.mistake(node.where, "[[origin]] needs ca, client_certificate with client_key, or min_tls");
    return origin;
}

void check_origins(const std::vector<OriginRule>& origins, const std::vector<Route>& routes, Mistakes& mistakes) {
    const auto dialled = [&routes](const std::string& host) {
        return std::any_of(routes.begin(), routes.end(), [&](const Route& route) { return route.to_host == host; });
    };
    for (std::size_t i = 0; i < origins.size(); ++i) {
        for (std::size_t k = 0; k < i; ++k)
            if (share_a_pattern(origins[i], origins[k]))
                mistakes.add(origins[i].where,
                             "the host has its [[origin]] already, at " + origins[k].where.to_string());
        for (const HostPattern& host : origins[i].hosts)
            for (const Route& route : routes)
                if (host.kind() == HostPattern::Kind::exact && host.name() == route.host && !dialled(route.host))
                    mistakes.add(origins[i].where, "the route at " + route.where.to_string() + " leads from " +
                                                       route.host + " to " + in_quotes(route.to_host) +
                                                       ": that is the host to name here");
    }
}

}  // namespace sallyport::policy
