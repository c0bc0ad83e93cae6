#pragma once
// Host names as policy sees them: one canonical form, and the patterns that match it.

#include <optional>
#include <string>
#include <string_view>

#include "gateway/base/endpoint.hpp"

namespace sallyport::policy {

/// The canonical form of a DNS name (RFC 1123: letters, digits, hyphen, also underscore; lower case, no trailing
/// dot, labels of 1 to 63 characters, 253 in all) or of an IP address (its text by IpAddress; an IPv6 address
/// may come in brackets). nullopt for anything else: the caller refuses it. A name whose last label is all
/// digits, or "0x" and hex digits, is not a name (some clients would read it as an address: "127.1", "0x7f.1").
/// A name outside ASCII is expected in its A-label form ("xn--...").
std::optional<std::string> canonical_host(std::string_view text);

/// "api.example.com", "*.example.com" (any depth of subdomain, not example.com itself), "192.0.2.1",
/// "2001:db8::1", "10.0.0.0/8".
class HostPattern {
public:
    /// nullopt when the text is no pattern; `error` then says what was expected.
    static std::optional<HostPattern> parse(std::string_view text, std::string& error);

    enum class Kind { exact, subdomains, network };
    Kind kind() const { return kind_; }
    /// The name (for `subdomains` without "*."), or the address text.
    const std::string& name() const { return name_; }
    /// `canonical` is what canonical_host returned.
    bool matches(std::string_view canonical) const;
    /// A `network` only: the address lies in it.
    bool contains(const IpAddress& address) const;
    /// True when some host matches both.
    bool overlaps(const HostPattern& other) const;
    /// Of two that match the same host: this one matches fewer.
    bool narrower_than(const HostPattern& other) const;
    std::string to_string() const;

private:
    Kind kind_ = Kind::exact;
    std::string name_;
    IpAddress network_;
    int prefix_ = 0;
};

}  // namespace sallyport::policy
