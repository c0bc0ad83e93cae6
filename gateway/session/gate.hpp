#pragma once
// The gate that every request passes: authority, target, policy, secrets. Pure: a request head in, a permit or a
// refusal out. Only a Permit leads to an origin.

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "gateway/policy/decide.hpp"
#include "gateway/secrets/placeholders.hpp"
#include "gateway/secrets/store.hpp"
#include "gateway/wire/http_message.hpp"

namespace sallyport::session {

/// What the connection proved before its first request.
struct ConnectionFacts {
    bool tls = false;
    /// Canonical. Under TLS the name that the handshake was made for (SNI, virtual address or literal address): the
    /// only authority of this connection. Without TLS what to take for a request that has no Host (HTTP/1.0).
    std::string name;
    std::uint16_t port = 0;
    bool http2 = false;
};

/// Everything that a decision depends on; a snapshot, swapped whole.
struct Rules {
    std::shared_ptr<const policy::Policy> policy;
    std::shared_ptr<const secrets::Store> secrets;
};

/// Where a permitted request is sent.
struct Way {
    policy::Destination origin;  ///< the destination, or its route
    bool tls = false;
    bool private_addresses = false;
    std::shared_ptr<const tls::OriginOptions> options;  ///< of TLS; null: nothing special

    std::string options_id() const { return options ? options->id : std::string(); }
};

/// The request may go to `origin`, as `head` is now.
struct Permit {
    policy::Destination destination;  ///< as the client named it
    Way way;
    std::string rule;                  ///< "file:line"; empty: no rule matched, see would_deny
    std::string would_deny;            ///< not empty: allowed only because the mode is audit; why it would be refused
    std::vector<std::string> secrets;  ///< by name
    std::string target;                ///< as decided on, for the audit log
    // What it was decided on besides, to be judged again:
    bool tls = false;                  ///< the client's side
    std::vector<std::string> methods;  ///< the request's own, then those of fields that override it
    policy::Target facts;              ///< `target` in its readings
    /// To be taken out of the response: those that the host may get. They live as long as `store`.
    std::vector<secrets::BoundSecret> bound;
    std::shared_ptr<const secrets::Store> store;
    std::optional<secrets::BodySyntax> body;  ///< in which placeholders are to be replaced
};

/// Bytes that are not looked into may go to `destination`: TLS passed through, or (`tls` false) another protocol.
struct StreamPermit {
    policy::Destination destination;
    bool tls = false;
    bool private_addresses = false;
    std::string rule;        ///< "file:line"; empty: none matched
    std::string would_deny;  ///< as in Permit
};

struct Refusal {
    unsigned status = 403;
    policy::Destination destination;
    std::string method;
    std::string target;      ///< normalised where that was possible
    std::string why;         ///< one sentence
    std::string rule;        ///< "file:line" of the rule that denied; may be empty
    std::string suggestion;  ///< TOML that would allow it; may be empty
    std::string alarm;       ///< a placeholder on its way to the wrong host: which
};

/// `head` is rewritten to what the origin shall get: target, Host, secrets, upgrade. Not to be used after a refusal.
std::variant<Permit, Refusal> judge(const Rules&, const ConnectionFacts&, wire::RequestHead& head);

/// Where requests over this connection would go, if any of them may be permitted; the connection's name is their host.
std::optional<Way> possible_way(const Rules&, const ConnectionFacts&);

/// Why rules that came after the permit would not give it: what it allows is refused now, or leads to another origin.
/// nullopt: they would. Where private = true is gone, that counts as refused, whatever the origin's address is.
std::optional<std::string> objection(const Rules&, const Permit&);
std::optional<std::string> objection(const Rules&, const StreamPermit&);

}  // namespace sallyport::session
