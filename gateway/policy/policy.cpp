#include "gateway/policy/policy.hpp"

#include <algorithm>
#include <functional>
#include <unordered_set>

namespace sallyport::policy {

namespace {

struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};

template <class Value>
using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

/// Calls `visit` with "example.com" and "com" for "www.example.com".
template <class Visit>
void for_each_parent(std::string_view name, Visit visit) {
    for (std::size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.')) {
        name.remove_prefix(dot + 1);
        visit(name);
    }
}

bool contains(const std::vector<std::uint16_t>& ports, std::uint16_t port) {
    return std::find(ports.begin(), ports.end(), port) != ports.end();
}

bool is_web_port(std::uint16_t port) { return port == 80 || port == 443; }

}  // namespace

std::string SourcePosition::to_string() const { return file + ":" + std::to_string(line); }

bool Rule::covers_port(std::uint16_t port) const {
    if (ports.empty()) return action == Action::deny || is_web_port(port);
    return contains(ports, port);
}

bool Rule::grants_tcp(std::uint16_t port) const {
    return allows_requests() && !is_web_port(port) && contains(ports, port) && !needs_request();
}

bool OriginRule::same_files(const OriginRule& other) const {
    return ca == other.ca && client_certificate == other.client_certificate && client_key == other.client_key;
}

struct Policy::Index {
    TextMap<std::vector<std::uint32_t>> exact;
    TextMap<std::vector<std::uint32_t>> below;  // by the name that "*." stands before
    std::vector<std::pair<HostPattern, std::uint32_t>> networks;
    std::unordered_set<std::string, TextHash, std::equal_to<>> allowed_ancestors;
    TextMap<std::uint32_t> routes;
    std::unordered_set<std::uint16_t> allowed_ports;

    void add(const HostPattern& pattern, Action action, std::uint32_t rule) {
        if (pattern.kind() == HostPattern::Kind::network) {
            networks.emplace_back(pattern, rule);
            return;
        }
        const bool subdomains = pattern.kind() == HostPattern::Kind::subdomains;
        (subdomains ? below : exact)[pattern.name()].push_back(rule);
        if (action != Action::allow) return;
        if (subdomains) allowed_ancestors.insert(pattern.name());
        for_each_parent(pattern.name(), [this](std::string_view parent) { allowed_ancestors.emplace(parent); });
    }
};

Policy::Policy(std::vector<Rule> rules, std::vector<SecretRule> secrets, std::vector<Route> routes,
               std::vector<Publication> publications, Mode mode, std::vector<OriginRule> origins)
    : rules_(std::move(rules)),
      secrets_(std::move(secrets)),
      routes_(std::move(routes)),
      publications_(std::move(publications)),
      origins_(std::move(origins)),
      mode_(mode) {
    auto index = std::make_shared<Index>();
    for (std::size_t i = 0; i < rules_.size(); ++i) {
        for (const HostPattern& host : rules_[i].hosts)
            index->add(host, rules_[i].action, static_cast<std::uint32_t>(i));
        if (rules_[i].action == Action::allow)
            index->allowed_ports.insert(rules_[i].ports.begin(), rules_[i].ports.end());
    }
    index->allowed_ports.insert({80, 443});
    for (std::size_t i = 0; i < routes_.size(); ++i)
        index->routes.emplace(routes_[i].host, static_cast<std::uint32_t>(i));
    index_ = std::move(index);
}

bool Policy::allows_port(std::uint16_t port) const {
    return mode_ == Mode::audit || index_->allowed_ports.contains(port);
}

const Route* Policy::route_for(std::string_view host) const {
    const auto found = index_->routes.find(host);
    return found == index_->routes.end() ? nullptr : &routes_[found->second];
}

const OriginRule* Policy::origin_for(std::string_view host) const {
    const OriginRule* found = nullptr;
    const HostPattern* by = nullptr;
    for (const OriginRule& origin : origins_)
        for (const HostPattern& pattern : origin.hosts)
            if (pattern.matches(host) && (!by || pattern.narrower_than(*by))) {
                found = &origin;
                by = &pattern;
            }
    return found;
}

std::vector<const Rule*> Policy::rules_for(std::string_view host) const {
    std::vector<const Rule*> found;
    const auto add = [&](const auto& map, std::string_view name) {
        if (const auto at = map.find(name); at != map.end())
            for (const std::uint32_t rule : at->second) found.push_back(&rules_[rule]);
    };
    add(index_->exact, host);
    for_each_parent(host, [&](std::string_view parent) { add(index_->below, parent); });
    const auto address = index_->networks.empty() ? std::nullopt : IpAddress::parse(host);
    for (const auto& [network, rule] : index_->networks)
        if (address && network.contains(*address)) found.push_back(&rules_[rule]);
    std::sort(found.begin(), found.end());  // in the order of the file
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

std::vector<const SecretRule*> Policy::secrets_for(std::string_view host) const {
    std::vector<const SecretRule*> found;
    for (const SecretRule& secret : secrets_)
        if (std::any_of(secret.hosts.begin(), secret.hosts.end(), [&](const auto& h) { return h.matches(host); }))
            found.push_back(&secret);
    return found;
}

bool Policy::has_allowed_descendant(std::string_view name) const {
    return index_->allowed_ancestors.find(name) != index_->allowed_ancestors.end();
}

}  // namespace sallyport::policy
