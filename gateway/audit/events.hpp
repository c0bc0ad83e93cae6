#pragma once
// What the audit log knows of: one value type for each kind of line. Pure. Texts may come from the client: writing
// them down safely is to_json's business, and none of these fields ever holds a secret.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "gateway/base/endpoint.hpp"

namespace sallyport::audit {

enum class Decision { allow, deny };

/// When it began.
using Time = std::chrono::system_clock::time_point;

/// Bytes of content: `out` towards the origin, `in` towards the client.
struct Traffic {
    std::uint64_t out = 0;
    std::uint64_t in = 0;
};

/// Who wanted what, and who said so.
struct Subject {
    Time time = std::chrono::system_clock::now();
    Decision decision = Decision::deny;
    bool would_deny = false;       ///< audit mode: allowed all the same; `reason` says why it would be denied
    bool private_address = false;  ///< the origin has one: a rule for it needs private = true
    std::string rule;              ///< "file:line" of the rule that decided; empty: none did
    std::string reason;            ///< one sentence
    ClientAddr client;
    OriginalDst original_dst;
    std::string host;  ///< what it proved to want; empty: it never said
    std::uint16_t port = 0;
};

/// One HTTP request, as the client sent it: before any secret was put in.
struct RequestEvent : Subject {
    std::string scheme;  ///< "http" or "https"
    std::string method;
    std::string path;     ///< path and query, normalised when the request got so far
    unsigned status = 0;  ///< of the response that the client got; 0: none
    Traffic bytes;
    std::chrono::milliseconds duration{0};
    std::vector<std::string> secrets;   ///< names of those that were put in
    std::vector<std::string> scrubbed;  ///< names of those that were taken out of the response
    std::string alarm;  ///< not empty: someone should look, such as a placeholder on its way to the wrong host
};

/// A connection that was refused before or without a request, or passed through.
struct ConnectionEvent : Subject {
    std::string protocol;  ///< "tls", "http", "tcp"
    Traffic bytes;
    std::chrono::milliseconds duration{0};
};

/// A name that the DNS server did not resolve, or in enforce mode would not.
struct NameEvent {
    Time time = std::chrono::system_clock::now();
    std::string name;
    std::uint16_t type = 0;   ///< DNS record type number
    bool would_deny = false;  ///< audit mode: resolved all the same
    std::string reason;
};

/// Packets that the namespace's rules rejected.
struct PacketEvent {
    Time time = std::chrono::system_clock::now();
    std::string packet_class;  ///< "udp", "icmp", ...
    std::string destination;   ///< address, with port where there is one
    std::uint64_t count = 1;
};

/// The policy was read again while the gateway ran.
struct PolicyEvent {
    Time time = std::chrono::system_clock::now();
    std::string file;
    bool replaced = false;    ///< else the one before stays
    std::string reason;       ///< why it stays
    std::uint64_t ended = 0;  ///< requests and streams that the new one denies
};

using Event = std::variant<RequestEvent, ConnectionEvent, NameEvent, PacketEvent, PolicyEvent>;

/// RFC 3339 in UTC with milliseconds: "2026-01-31T08:15:30.042Z".
std::string format_time(Time time);
/// One line with its line feed; see JsonLine for what is escaped and cut.
std::string to_json(const Event& event);
void append_json(std::string& out, const Event& event);

}  // namespace sallyport::audit
