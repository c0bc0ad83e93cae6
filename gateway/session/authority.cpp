#include "gateway/session/authority.hpp"

#include <algorithm>

#include "gateway/policy/host_pattern.hpp"

namespace sallyport::session {
namespace {

Error malformed(std::string detail) { return {ErrorKind::malformed, std::move(detail)}; }

bool is_port(std::string_view text) {
    return !text.empty() && text.size() <= 5 && text.find_first_not_of("0123456789") == std::string_view::npos;
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
    auto authority = parse_authority(host ? *host : std::string_view(fallback));
    if (!authority) return authority;

    if (head.target.starts_with('/') || head.target == "*") return authority;
    // absolute-form: the same authority once more
    const std::string_view target = head.target;
    const auto scheme_end = target.find("://");
    if (scheme_end == std::string_view::npos || !wire::equal_ignoring_case(target.substr(0, scheme_end), scheme))
        return malformed("a request target that is neither a path nor a URL of this connection's scheme");
    const auto begin = scheme_end + 3;
    const auto end = std::min(target.find_first_of("/?#", begin), target.size());
    const auto named = parse_authority(target.substr(begin, end - begin));
    if (!named) return named;
    if (named->host != authority->host || (!named->port_text.empty() && named->port_text != authority->port_text))
        return malformed("the request target and Host name different authorities");
    std::string origin_form(target.substr(end));
    if (!origin_form.starts_with('/')) origin_form.insert(0, "/");
    head.target = std::move(origin_form);
    return authority;
}

}  // namespace sallyport::session
