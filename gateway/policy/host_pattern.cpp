#include "gateway/policy/host_pattern.hpp"

#include <algorithm>
#include <charconv>

namespace sallyport::policy {

namespace {

constexpr std::size_t kMaxName = 253;
constexpr std::size_t kMaxLabel = 63;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_label(std::string_view label) {
    if (label.empty() || label.size() > kMaxLabel || label.front() == '-' || label.back() == '-') return false;
    return std::all_of(label.begin(), label.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_'; });
}

/// inet_aton(3) and the URL standard read "127.1", "0x7f.1" and "2130706433" as addresses: the last label tells.
bool reads_as_number(std::string_view last_label) {
    if (last_label.starts_with("0x"))
        return last_label.find_first_not_of("0123456789abcdef", 2) == std::string_view::npos;
    return std::all_of(last_label.begin(), last_label.end(), is_digit);
}

std::optional<std::string> canonical_name(std::string_view text) {
    if (text.ends_with('.')) text.remove_suffix(1);
    if (text.empty() || text.size() > kMaxName) return std::nullopt;
    std::string name(text);
    std::transform(name.begin(), name.end(), name.begin(), lower);
    std::string_view rest = name;
    while (true) {
        const std::size_t dot = rest.find('.');
        if (!is_label(rest.substr(0, dot))) return std::nullopt;
        if (dot == std::string_view::npos) break;
        rest.remove_prefix(dot + 1);
    }
    if (reads_as_number(rest)) return std::nullopt;
    return name;
}

/// The bits of `address` beyond `prefix` are zero.
bool is_network(const IpAddress& address, int prefix) {
    for (int bit = prefix; bit < address.bit_length(); ++bit)
        if (address.bytes()[static_cast<std::size_t>(bit / 8)] & (0x80 >> (bit % 8))) return false;
    return true;
}

std::string why_not_a_host(std::string_view text) {
    const bool ascii =
        std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if (!ascii) return "a name outside ASCII is written in its xn-- form";
    if (text == "*") return "\"*\" alone would be the whole Internet: name a domain, as in \"*.example.com\"";
    if (text.find('*') != std::string_view::npos) return "\"*\" stands only at the start, as in \"*.example.com\"";
    if (text.find("://") != std::string_view::npos)
        return "a host is expected, not a URL: leave out the scheme and path";
    return "expected a host name, \"*.example.com\", an address or a network such as \"10.0.0.0/8\"";
}

}  // namespace

std::optional<std::string> canonical_host(std::string_view text) {
    const bool bracketed = text.size() >= 2 && text.front() == '[' && text.back() == ']';
    if (bracketed) text = text.substr(1, text.size() - 2);
    const bool has_colon = text.find(':') != std::string_view::npos;
    if (bracketed && !has_colon) return std::nullopt;
    if (const auto address = IpAddress::parse(text)) return address->to_string();
    if (has_colon) return std::nullopt;
    return canonical_name(text);
}

std::optional<HostPattern> HostPattern::parse(std::string_view text, std::string& error) {
    HostPattern pattern;
    if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
        const auto address = IpAddress::parse(text.substr(0, slash));
        const std::string_view digits = text.substr(slash + 1);
        int prefix = -1;
        const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
        if (!address || failure != std::errc{} || end != digits.data() + digits.size() || prefix < 0 ||
            prefix > address->bit_length()) {
            error = why_not_a_host(text);
            return std::nullopt;
        }
        if (!is_network(*address, prefix)) {
            error =
                "the address has bits set beyond /" + std::to_string(prefix) + ": write the network's first address";
            return std::nullopt;
        }
        pattern.kind_ = Kind::network;
        pattern.network_ = *address;
        pattern.prefix_ = prefix;
        pattern.name_ = address->to_string();
        return pattern;
    }
    const bool below = text.starts_with("*.");
    const auto name = below ? canonical_name(text.substr(2)) : canonical_host(text);
    if (!name) {
        error = why_not_a_host(text);
        return std::nullopt;
    }
    pattern.kind_ = below ? Kind::subdomains : Kind::exact;
    pattern.name_ = *name;
    return pattern;
}

bool HostPattern::matches(std::string_view canonical) const {
    switch (kind_) {
        case Kind::exact:
            return canonical == name_;
        case Kind::subdomains:
            return canonical.size() > name_.size() + 1 && canonical.ends_with(name_) &&
                   canonical[canonical.size() - name_.size() - 1] == '.';
        case Kind::network: {
            const auto address = IpAddress::parse(canonical);
            return address && contains(*address);
        }
    }
    return false;
}

bool HostPattern::contains(const IpAddress& address) const {
    return kind_ == Kind::network && address.in_network(network_, prefix_);
}

bool HostPattern::overlaps(const HostPattern& other) const {
    if (kind_ == Kind::exact) return other.matches(name_);
    if (other.kind_ == Kind::exact) return matches(other.name_);
    if (kind_ != other.kind_) return false;
    if (kind_ == Kind::network) {
        const int shorter = std::min(prefix_, other.prefix_);
        return network_.in_network(other.network_, shorter);
    }
    return name_ == other.name_ || matches(other.name_) || other.matches(name_);
}

bool HostPattern::narrower_than(const HostPattern& other) const {
    if (kind_ == Kind::exact || other.kind_ == Kind::exact) return kind_ == Kind::exact && other.kind_ != Kind::exact;
    if (kind_ != other.kind_) return false;  // nothing matches both
    return kind_ == Kind::network ? prefix_ > other.prefix_ : name_.size() > other.name_.size();
}

std::string HostPattern::to_string() const {
    if (kind_ == Kind::subdomains) return "*." + name_;
    if (kind_ == Kind::network) return name_ + "/" + std::to_string(prefix_);
    return name_;
}

}  // namespace sallyport::policy
