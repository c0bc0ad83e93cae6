#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "gateway/policy/readers.hpp"
#include "gateway/policy/uri_text.hpp"

namespace sallyport::policy {

namespace {

constexpr std::size_t kMinPlaceholder = 8;

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), ascii_lower);
    return out;
}

bool is_printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

/// RFC 9110, section 5.6.2.
bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        const bool alphanumeric = is_unreserved(byte) && c != '-' && c != '.' && c != '_' && c != '~';
        return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
}

/// Fields that frame or route a message: the gateway writes them itself, or drops them at each hop.
bool belongs_to_framing(std::string_view header) {
    constexpr std::array<std::string_view, 11> kFraming{
        "host",   "content-length", "transfer-encoding", "connection",         "te", "trailer", "upgrade",
        "expect", "keep-alive",     "proxy-connection",  "proxy-authorization"};
    return std::find(kFraming.begin(), kFraming.end(), lower(header)) != kFraming.end();
}

void read_header(const Section& section, SecretRule& secret) {
    const auto header = section.text("header");
    const auto format = section.text("format");
    if (header) {
        secret.header = header->value;
        if (!is_token(header->value))
            section.mistake(header->where, "header is the name of a header field, not " + in_quotes(header->value));
        else if (belongs_to_framing(header->value))
            section.mistake(header->where,
                            "header cannot be " + in_quotes(header->value) + ": it belongs to the connection");
    }
    if (!format) return;
    secret.format = format->value;
    const std::size_t at = format->value.find("{}");
    if (at == std::string::npos || format->value.find("{}", at + 2) != std::string::npos)
        section.mistake(format->where, "format holds \"{}\" exactly once, where the secret goes");
    else if (!is_printable(format->value)) section.mistake(format->where, "format is printable ASCII");
    if (!section.find("header")) section.mistake(format->where, "format shapes a header: give the header too");
}

void read_basic(const Section& section, SecretRule& secret) {
    const auto basic = section.text("basic");
    if (!basic) return;
    secret.basic_user = basic->value;
    if (!is_printable(basic->value) || basic->value.find(':') != std::string::npos)
        section.mistake(basic->where, "basic is a user name: printable ASCII without \":\"");
    if (section.find("header") || section.find("format"))
        section.mistake(basic->where, "basic sets the Authorization header itself: leave out header and format");
}

void read_placeholder(const Section& section, SecretRule& secret) {
    const auto placeholder = section.text("placeholder");
    if (!placeholder) return;
    secret.placeholder = placeholder->value;
    if (placeholder->value.size() < kMinPlaceholder || !is_printable(placeholder->value) ||
        placeholder->value.find(' ') != std::string::npos)
        section.mistake(placeholder->where, "placeholder is at least " + std::to_string(kMinPlaceholder) +
                                                " printable ASCII characters without spaces");
}

void read_placeholder_in(const Section& section, SecretRule& secret) {
    constexpr std::pair<std::string_view, bool PlaceholderPlaces::*> kPlaces[] = {
        {"header", &PlaceholderPlaces::header},
        {"path", &PlaceholderPlaces::path},
        {"query", &PlaceholderPlaces::query},
        {"json", &PlaceholderPlaces::json},
        {"form", &PlaceholderPlaces::form}};
    const Member* member = section.find("placeholder_in");
    if (!member) return;
    if (!section.find("placeholder"))
        section.mistake(member->node.where, "placeholder_in says where the placeholder is looked for: give that too");
    secret.placeholder_in.header = false;
    for (const Text& text : section.texts("placeholder_in")) {
        const auto place = std::find_if(std::begin(kPlaces), std::end(kPlaces),
                                        [&](const auto& known) { return known.first == text.value; });
        if (place == std::end(kPlaces))
            section.mistake(text.where,
                            "placeholder_in lists \"header\", \"path\", \"query\", \"json\" and \"form\", not " +
                                in_quotes(text.value));
        else secret.placeholder_in.*place->second = true;
    }
}

SecretSource read_source(const Section& secret, Mistakes& mistakes) {
    constexpr std::string_view kExample =
        "value = { env = \"NAME\" }, { file = \"PATH\" } or { command = [\"PROGRAM\"] }";
    const Member* member = secret.find("value");
    if (!member) {
        secret.missing("value", kExample);
        return {};
    }
    SecretSource source;
    const Section section(member->node, "value", {"env", "file", "command"}, mistakes);
    if (const auto env = section.text("env")) {
        source.env = env->value;
        if (env->value.empty() || env->value.find_first_of(std::string_view("=\0", 2)) != std::string::npos)
            section.mistake(env->where, "env is the name of an environment variable");
    }
    if (const auto file = section.text("file")) {
        source.file = (std::filesystem::path(member->where.file).parent_path() / file->value).string();
        if (file->value.empty() || file->value.find('\0') != std::string::npos)
            section.mistake(file->where, "file is the path of a file");
    }
    if (const Member* command = section.find("command")) {
        source.command.emplace();
        for (const Text& word : section.texts("command")) source.command->push_back(word.value);
        const auto& words = *source.command;
        const bool has_nul = std::any_of(words.begin(), words.end(),
                                         [](const auto& word) { return word.find('\0') != std::string::npos; });
        if (!command->node.as<Node::List>() || has_nul || (!words.empty() && words.front().empty()))
            section.mistake(command->node.where,
                            "command is a list: the program and its arguments, run without a shell");
    }
    const auto* table = member->node.as<Node::Table>();
    if (table &&
        (section.find("env") != nullptr) + (section.find("file") != nullptr) + (section.find("command") != nullptr) !=
            1)
        section.mistake(member->node.where, "value names exactly one source: " + std::string(kExample));
    return source;
}

/// "https://name[:port]" into `route`; false when it is anything else.
bool read_url(std::string_view url, Route& route) {
    route.tls = url.starts_with("https://");
    if (!route.tls && !url.starts_with("http://")) return false;
    url.remove_prefix(route.tls ? 8 : 7);
    route.to_port = route.tls ? 443 : 80;
    const std::size_t colon = url.starts_with('[') ? url.find(':', url.find(']')) : url.find(':');
    if (colon != std::string_view::npos) {
        const std::string_view digits = url.substr(colon + 1);
        const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), route.to_port);
        if (failure != std::errc{} || end != digits.data() + digits.size() || route.to_port == 0) return false;
        url = url.substr(0, colon);
    }
    const auto host = canonical_host(url);
    route.to_host = host.value_or("");
    return host.has_value();
}

}  // namespace

SecretRule read_secret(const Node& node, Mistakes& mistakes) {
    const Section section(node, "[[secret]]",
                          {"name", "host", "header", "format", "basic", "placeholder", "placeholder_in", "value"},
                          mistakes);
    SecretRule secret;
    secret.where = node.where;
    if (!section.find("name")) section.missing("name", "name = \"github\"");
    if (const auto name = section.text("name")) {
        secret.name = name->value;
        const bool fits = !name->value.empty() && name->value.size() <= 64 &&
                          std::all_of(name->value.begin(), name->value.end(),
                                      [](char c) { return is_unreserved(static_cast<unsigned char>(c)) && c != '~'; });
        if (!fits) section.mistake(name->where, "name is up to 64 letters, digits, \"-\", \"_\" or \".\"");
    }
    secret.hosts = read_hosts(section, mistakes);
    read_header(section, secret);
    read_basic(section, secret);
    read_placeholder(section, secret);
    read_placeholder_in(section, secret);
    secret.value = read_source(section, mistakes);
    if (node.as<Node::Table>() && !section.find("header") && !section.find("basic") && !section.find("placeholder"))
        section.mistake(node.where, "[[secret]] needs header, basic or placeholder: where the value goes");
    return secret;
}

Route read_route(const Node& node, Mistakes& mistakes) {
    const Section section(node, "[[route]]", {"host", "to"}, mistakes);
    Route route;
    route.where = node.where;
    if (!section.find("host")) section.missing("host", "host = \"api.example.com\"");
    if (const auto host = section.text("host")) {
        const auto name = canonical_host(host->value);
        route.host = name.value_or("");
        if (!name)
            section.mistake(host->where,
                            "the host of a route is one name, without \"*\", not " + in_quotes(host->value));
    }
    if (!section.find("to")) section.missing("to", "to = \"https://connector.internal:8443\"");
    if (const auto to = section.text("to"); to && !read_url(to->value, route))
        section.mistake(to->where,
                        "to is \"https://NAME[:PORT]\" or \"http://NAME[:PORT]\", without user, path or query");
    return route;
}

}  // namespace sallyport::policy
