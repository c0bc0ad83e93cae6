#include "gateway/session/authority.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "gateway/policy/host_pattern.hpp"

namespace sallyport::session {
namespace {

Error malformed(std::string detail) { return {ErrorKind::malformed, std::move(detail)}; }

bool is_port(std::string_view text) {
    return !text.empty() && text.size() <= 5 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

struct Url {
    std::string_view scheme, authority, rest;
};

std::optional<Url> absolute_form(std::string_view target) {
    const auto scheme_end = target.find("://");
    if (scheme_end == std::string_view::npos) return std::nullopt;
    const auto begin = scheme_end + 3;
    const auto end = std::min(target.find_first_of("/?#", begin), target.size());
    return Url{target.substr(0, scheme_end), target.substr(begin, end - begin), target.substr(end)};
}

/// 1 to 65535.
std::optional<std::uint16_t> port_number(std::string_view digits) {
    std::uint16_t port = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (failed != std::errc{} || end != digits.data() + digits.size() || port == 0) return std::nullopt;
    return port;
}

Result<policy::Destination> connect_destination(const wire::RequestHead& head) {
    const auto target = parse_authority(head.target);
    const auto port = target ? port_number(target->port_text) : std::nullopt;
    if (!port) return malformed("the target of CONNECT is not host:port");
    // Behind it the tunnel begins: a body would be its first bytes to one reader and not to another.
    if (head.body.kind != wire::Framing::none) return malformed("CONNECT with a body");
    return policy::Destination{target->host, *port};
}

}  // namespace

Result<Authority> parse_authority(std::string_view text) {
    // An IPv6 address has colons of its own: the port begins behind the bracket.
    const auto bracket = text.rfind(']');
    const auto colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
    const auto host = policy::canonical_host(text.substr(0, colon));
    if (!host) return malformed("Host is not a host name");
    Authority authority{*host, {}};
    if (colon != std::string_view::npos) {
        const auto port = text.substr(colon + 1);
        if (!is_port(port)) return malformed("the port in Host is not a number");
        authority.port_text = port;
    }
    return authority;
}

Result<Authority> take_authority(wire::RequestHead& head, std::string_view scheme, const std::string& fallback) {
    const auto host = wire::find(head.fields, "Host");
    if (!host && head.minor_version > 0) return malformed("a request without Host");
    Result<Authority> authority = Authority{fallback, {}};
    const bool usual = host && *host == fallback && fallback.find(':') == std::string::npos;  // what parsing would give
    if (host && !usual) authority = parse_authority(*host);
    if (!authority) return authority;

    // Only OPTIONS asks for the whole server (RFC 9112, section 3.2.4).
    const bool options = head.method == "OPTIONS";
    if (head.target.starts_with('/') || (options && head.target == "*")) return authority;
    // absolute-form: the same authority once more
    const auto url = absolute_form(head.target);
    if (!url || !wire::equal_ignoring_case(url->scheme, scheme))
        return malformed("a request target that is neither a path nor a URL of this connection's scheme");
    const auto named = parse_authority(url->authority);
    if (!named) return named;
    if (!host) authority = *named;
    const auto port_of = [&](const Authority& a) -> std::string_view {
        if (!a.port_text.empty()) return a.port_text;
        return scheme == "https" ? "443" : "80";
    };
    if (named->host != authority->host || (!named->port_text.empty() && port_of(*named) != port_of(*authority)))
        return malformed("the request target and Host name different authorities");
    if (authority->port_text.empty()) authority->port_text = named->port_text;
    std::string origin_form(url->rest);
    if (origin_form.empty() && options) origin_form = "*";
    else if (!origin_form.starts_with('/')) origin_form.insert(0, "/");
    head.target = std::move(origin_form);
    return authority;
}

Result<policy::Destination> proxy_destination(const wire::RequestHead& head) {
    if (head.method == "CONNECT") return connect_destination(head);
    const auto url = absolute_form(head.target);
    if (!url || head.target.starts_with('/'))
        return malformed("this port is a proxy: it takes CONNECT host:port and http:// URLs, not a path alone");
    if (wire::equal_ignoring_case(url->scheme, "https"))
        return malformed("an https:// URL is asked for in the clear: through a proxy it takes CONNECT");
    if (!wire::equal_ignoring_case(url->scheme, "http")) return malformed("a URL that is not of HTTP");
    auto authority = parse_authority(url->authority);
    if (!authority) return authority.error();
    const auto port = port_number(authority->port_text.empty() ? "80" : authority->port_text);
    if (!port) return malformed("the port of the URL is not a port number");
    return policy::Destination{std::move(authority->host), *port};
}

}  // namespace sallyport::session
