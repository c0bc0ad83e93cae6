#include <algorithm>

#include "gateway/policy/method.hpp"
#include "gateway/policy/readers.hpp"

namespace sallyport::policy {

namespace {

std::vector<std::uint16_t> read_ports(const Section& section) {
    std::vector<std::uint16_t> ports;
    for (const Node* node : section.one_or_many("port")) {
        const auto* number = node->as<std::int64_t>();
        if (number && *number >= 1 && *number <= 65535) ports.push_back(static_cast<std::uint16_t>(*number));
        else section.mistake(node->where, "port is a number from 1 to 65535, or a list of them");
    }
    return ports;
}

std::vector<std::string> read_methods(const Section& section) {
    std::vector<std::string> methods;
    for (const Text& method : section.texts("method")) {
        if (is_method(method.value)) methods.push_back(method.value);
        else
            section.mistake(method.where,
                            "method is a request method in upper case such as \"GET\", not " + in_quotes(method.value));
    }
    return methods;
}

std::vector<PathPattern> read_paths(const Section& section) {
    std::vector<PathPattern> paths;
    for (const Text& path : section.texts("path")) {
        std::string error;
        if (auto pattern = PathPattern::parse(path.value, error)) paths.push_back(std::move(*pattern));
        else section.mistake(path.where, "bad path " + in_quotes(path.value) + ": " + error);
    }
    return paths;
}

std::vector<QueryPattern> read_query(const Section& section) {
    const Member* member = section.find("query");
    if (!member) return {};
    const auto* table = member->node.as<Node::Table>();
    if (!table || table->empty()) {
        section.mistake(member->node.where,
                        "query is a table of strings, as in query = { service = \"git-upload-pack\" }");
        return {};
    }
    std::vector<QueryPattern> query;
    for (const Member& entry : *table) {
        if (const auto* value = entry.node.as<std::string>()) query.push_back({entry.key, *value});
        else section.mistake(entry.node.where, "a query value is a string");
    }
    return query;
}

void read_tls(const Section& section, Rule& rule) {
    const auto tls = section.text("tls");
    if (!tls) return;
    if (tls->value != "passthrough") {
        section.mistake(tls->where, "tls can be \"passthrough\" only, not " + in_quotes(tls->value));
        return;
    }
    rule.pass_through = true;
    if (rule.needs_request())
        section.mistake(tls->where, "tls = \"passthrough\" hides the request: it goes with no method, path or query");
}

}  // namespace

std::vector<HostPattern> read_hosts(const Section& section, Mistakes& mistakes) {
    if (!section.find("host")) section.missing("host", "host = \"api.example.com\"");
    std::vector<HostPattern> hosts;
    for (const Text& host : section.texts("host")) {
        std::string error;
        if (auto pattern = HostPattern::parse(host.value, error)) hosts.push_back(std::move(*pattern));
        else mistakes.add(host.where, "bad host " + in_quotes(host.value) + ": " + error);
    }
    return hosts;
}

Rule read_rule(const Node& node, Action action, Mistakes& mistakes) {
    const Section section =
        action == Action::allow
            ? Section(node, "[[allow]]", {"host", "port", "method", "path", "query", "private", "tls"}, mistakes)
            : Section(node, "[[deny]]", {"host", "port", "method", "path", "query"}, mistakes);
    Rule rule;
    rule.action = action;
    rule.where = node.where;
    rule.hosts = read_hosts(section, mistakes);
    rule.ports = read_ports(section);
    rule.methods = read_methods(section);
    rule.paths = read_paths(section);
    rule.query = read_query(section);
    if (action == Action::allow) {
        rule.private_addresses = section.boolean("private").value_or(false);
        read_tls(section, rule);
    }
    return rule;
}

}  // namespace sallyport::policy
