#include "gateway/net/outer_proxy.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "gateway/base/startup_error.hpp"

namespace sallyport::net {
namespace {

template <class Number>
std::optional<Number> number(std::string_view text) {
    Number value{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

struct HostPort {
    std::string_view host;
    std::string_view port;  ///< without the colon; empty when there is none
};

/// "name:1", "[v6]:1" or "v6", which has no port.
HostPort split(std::string_view text) {
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos) return {text, {}};
        const auto rest = text.substr(end + 1);
        return {text.substr(1, end - 1), rest.starts_with(':') ? rest.substr(1) : rest};
    }
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) return {text, {}};
    return {text.substr(0, colon), text.substr(colon + 1)};
}

bool is_or_is_below(std::string_view host, std::string_view name) {
    if (host == name) return true;
    return host.size() > name.size() && host.ends_with(name) && host[host.size() - name.size() - 1] == '.';
}

/// nullopt: a "%" without two hexadecimal digits behind it.
std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        unsigned value = 0;
        const auto digits = text.substr(i + 1, 2);
        const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (digits.size() != 2 || failure != std::errc{} || end != digits.data() + 2) return std::nullopt;
        out += static_cast<char>(value);
        i += 2;
    }
    return out;
}

std::string base64(std::string_view bytes) {
    std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends it with a zero
    const int size =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                        reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    out.resize(static_cast<std::size_t>(size));
    return out;
}

bool is_host(std::string_view text) {
    return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    });
}

/// The part of a status line that follows the version, such as it may be shown; nullopt: this is no such line.
std::optional<std::string> status_of(std::string_view head) {
    if (!head.starts_with("HTTP/1.0 ") && !head.starts_with("HTTP/1.1 ")) return std::nullopt;
    constexpr std::size_t kMostShown = 80;
    auto line = head.substr(9, std::min(head.find('\r') - 9, kMostShown));
    const auto code = number<unsigned>(line.substr(0, 3));
    if (!code || *code < 100 || (line.size() > 3 && line[3] != ' ')) return std::nullopt;
    std::string shown(line);
    std::replace_if(
        shown.begin(), shown.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
    return shown;
}

/// Reads to the end of the head and no further: what is behind it is looked at, and left to whom it is for.
Task<std::string> read_answer(Stream& stream, Clock::time_point deadline) {
    std::string head;
    std::array<char, 4096> block;
    for (;;) {
        auto ready = co_await stream.wait_readable_for(deadline - Clock::now());
        if (!ready) co_return ready.error();
        if (!*ready || Clock::now() >= deadline) co_return Error{ErrorKind::timed_out, "did not answer in time"};
        const int fd = stream.socket().native_handle();
        const ssize_t seen = ::recv(fd, block.data(), block.size(), MSG_PEEK | MSG_DONTWAIT);
        if (seen < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (seen < 0) co_return Error{ErrorKind::unreachable, std::strerror(errno)};
        if (seen == 0) co_return Error{ErrorKind::unreachable, "closed the connection without an answer"};
        const auto before = head.size();
        head.append(block.data(), static_cast<std::size_t>(seen));
        const auto end = head.find("\r\n\r\n", before < 3 ? 0 : before - 3);
        const bool whole = end != std::string::npos;
        if (whole) head.resize(end + 4);
        const ssize_t taken = ::recv(fd, block.data(), head.size() - before, MSG_DONTWAIT);
        if (taken != static_cast<ssize_t>(head.size() - before)) co_return Error{ErrorKind::io, "cannot be read"};
        if (whole) co_return head;
        if (head.size() > kMaxProxyAnswer)
            co_return Error{ErrorKind::too_large, "answered with a head that has no end"};
    }
}

}  // namespace

std::optional<NoProxy::Entry> NoProxy::parse(std::string_view text) {
    Entry entry;
    if (const auto slash = text.find('/'); slash != std::string_view::npos) {
        const auto network = IpAddress::parse(text.substr(0, slash));
        const auto prefix = number<int>(text.substr(slash + 1));
        if (!network || !prefix || *prefix < 0 || *prefix > network->bit_length()) return std::nullopt;
        entry.network = *network;
        entry.prefix = *prefix;
        return entry;
    }
    const auto [host, port] = split(text);
    if (!port.empty()) {
        const auto value = number<std::uint16_t>(port);
        if (!value) return std::nullopt;
        entry.port = *value;
    }
    if (const auto address = IpAddress::parse(host)) {
        entry.network = *address;
        entry.prefix = address->bit_length();
        return entry;
    }
    auto name = host;
    if (name.starts_with("*.")) name.remove_prefix(1);
    if (name.starts_with('.')) name.remove_prefix(1);
    entry.name = lower(name);
    if (!is_host(entry.name)) return std::nullopt;
    return entry;
}

NoProxy::NoProxy(std::string_view list) {
    while (!list.empty()) {
        const auto end = std::min(list.find_first_of(", \t"), list.size());
        const auto word = list.substr(0, end);
        list.remove_prefix(std::min(end + 1, list.size()));
        if (word == "*") all_ = true;
        if (auto entry = word.empty() ? std::nullopt : parse(word)) entries_.push_back(std::move(*entry));
    }
}

bool NoProxy::covers(std::string_view host, std::uint16_t port) const {
    const auto address = IpAddress::parse(host);
    const bool loopback = address
                              ? address->in_network(IpAddress::v4({127, 0, 0, 0}), 8) || address->to_string() == "::1"
                              : is_or_is_below(host, "localhost");
    if (all_ || loopback) return true;
    return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        if (entry.port != 0 && entry.port != port) return false;
        if (entry.prefix) return address && address->in_network(entry.network, *entry.prefix);
        return !address && is_or_is_below(host, entry.name);
    });
}

OuterProxy OuterProxy::parse(std::string_view url, std::string_view no_proxy, const std::string& source) {
    const auto wrong = [&source](const std::string& what) {
        return StartupError(source + ": " + what + "; expected http://[USER:PASSWORD@]HOST[:PORT]");
    };
    const auto scheme_end = url.find("://");
    if (scheme_end != std::string_view::npos) {
        const auto scheme = lower(url.substr(0, scheme_end));
        if (scheme == "https") throw wrong("a proxy that is spoken to in TLS is not supported");
        if (scheme != "http") throw wrong("a proxy of another kind than HTTP is not supported");
        url.remove_prefix(scheme_end + 3);
    }
    if (url.ends_with('/')) url.remove_suffix(1);
    OuterProxy proxy;
    if (const auto at = url.rfind('@'); at != std::string_view::npos) {
        const auto user = percent_decoded(url.substr(0, at));
        if (!user) throw wrong("in user and password \"%\" stands before two hexadecimal digits (\"%25\" is a \"%\")");
        proxy.authorization =
            "Basic " + base64(user->find(':') == std::string::npos ? *user + ":" : *user);  // RFC 7617, 2
        url.remove_prefix(at + 1);
    }
    const auto [host, port] = split(url);
    proxy.host = lower(host);
    if (const auto address = IpAddress::parse(host)) proxy.host = address->to_string();
    else if (!is_host(proxy.host)) throw wrong("its host is no name and no address");
    if (!port.empty()) {
        const auto value = number<std::uint16_t>(port);
        if (!value || *value == 0) throw wrong("its port is no number from 1 to 65535");
        proxy.port = *value;
    }
    proxy.no_proxy = NoProxy(no_proxy);
    return proxy;
}

Task<Socket> connect_through(Socket socket, const OuterProxy& proxy, Lifeline& lifeline, std::string host,
                             std::uint16_t port, Clock::time_point deadline) {
    const auto to =
        host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
    auto request = fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n", to);
    if (!proxy.authorization.empty()) request += "Proxy-Authorization: " + proxy.authorization + "\r\n";
    request += "\r\n";
    Stream stream(std::move(socket), lifeline);
    if (auto sent = co_await stream.write(request); !sent) co_return sent.error();
    auto answer = co_await read_answer(stream, deadline);
    if (lifeline.ended()) co_return lifeline.reason();
    if (!answer)
        co_return Error{answer.error().kind, "the outer proxy, asked for " + to + ": " + answer.error().detail};
    const auto status = status_of(*answer);
    if (!status)
        co_return Error{ErrorKind::malformed, "the outer proxy, asked for " + to + ", does not answer in HTTP/1.1"};
    if (!status->starts_with('2'))
        co_return Error{ErrorKind::unreachable,
                        fmt::format("the outer proxy refused the connection to {} ({})", to, *status)};
    co_return std::move(stream.socket());
}

}  // namespace sallyport::net
