#include "gateway/session/session.hpp"

#include <openssl/err.h>

#include <algorithm>

#include "gateway/net/original_dst.hpp"
#include "gateway/net/relay.hpp"
#include "gateway/policy/decide.hpp"
#include "gateway/session/http1_service.hpp"
#include "gateway/session/http2_service.hpp"

namespace sallyport::session {
namespace {

using boost::asio::awaitable;
using net::Task;

std::span<const std::uint8_t> as_bytes(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::chrono::milliseconds since(net::Clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(net::Clock::now() - begin);
}

/// The alerts with which TLS libraries refuse a certificate (Go, Java and OpenSSL have one of their own each).
bool says_untrusted(std::string_view failure) {
    const auto says = [failure](std::string_view alert) { return failure.find(alert) != std::string_view::npos; };
    return says("alert unknown ca") || says("alert bad certificate") || says("alert certificate unknown");
}

}  // namespace

Session::Session(Gateway& gateway, net::Stream& client, ClientAddr client_address, OriginalDst original,
                 policy::Destination dialled)
    : gateway_(gateway),
      client_(client),
      client_address_(client_address),
      original_(original),
      dialled_(std::move(dialled)) {
    // A virtual address stands for a name, others for themselves.
    const auto address = IpAddress::parse(dialled_.host);
    if (auto name = address ? gateway_.virtual_addresses.name_of(*address) : std::nullopt) dialled_.host = *name;
}

/// A connection there is not necessarily one whose client speaks first; or it is one that nothing waits for.
bool Session::server_may_begin() const {
    const auto rules = gateway_.rules.current();
    return policy::decide_stream(*rules->policy, dialled_, false).allowed || !rules->policy->allows_port(dialled_.port);
}

awaitable<void> Session::run() {
    co_await serve();
    if (question_) gateway_.audit.record(std::move(*question_));
}

awaitable<void> Session::serve() {
    client_.lifeline().expect_of_client(gateway_.limits.hello, "first bytes of the connection");
    const auto protocol = co_await read_protocol();
    if (!protocol) {
        if (!prefix_.empty() || protocol.error().kind == ErrorKind::timed_out)
            refuse("tcp", dialled_.host, protocol.error().detail);
        co_return;
    }
    switch (*protocol) {
        case wire::Protocol::tls:
            co_return co_await serve_tls();
        case wire::Protocol::http1:
        case wire::Protocol::http2_preface: {
            client_.replay(std::move(prefix_));
            ConnectionFacts facts{false, dialled_.host, dialled_.port, *protocol == wire::Protocol::http2_preface};
            co_return co_await serve_http(std::move(facts));
        }
        default:
            client_.replay(std::move(prefix_));
            co_return co_await serve_stream(dialled_, "tcp");
    }
}

Task<void> Session::read_more() {
    std::array<char, 4096> block;
    const auto n = co_await client_.read_some(block);
    if (!n) co_return n.error();
    prefix_.append(block.data(), *n);
    co_return Result<void>{};
}

Task<wire::Protocol> Session::read_protocol() {
    const bool impatient = server_may_begin();
    for (;;) {
        if (impatient) {
            // Of the protocols that use other ports, some begin with the server's greeting: their client says nothing,
            // or not enough to tell.
            const auto spoke = co_await client_.wait_readable_for(gateway_.limits.server_first);
            if (!spoke) co_return spoke.error();
            if (!*spoke) co_return wire::Protocol::other;
        }
        if (auto more = co_await read_more(); !more) {
            const bool said_all = more.error().kind == ErrorKind::end_of_stream && !prefix_.empty();
            if (said_all) co_return wire::Protocol::other;
            co_return more.error();
        }
        const auto protocol = wire::detect(as_bytes(prefix_));
        if (protocol != wire::Protocol::need_more) co_return protocol;
    }
}

Task<wire::ClientHelloResult> Session::read_hello() {
    for (;;) {
        auto hello = wire::parse_client_hello(as_bytes(prefix_));
        if (!std::holds_alternative<wire::NeedMore>(hello)) co_return hello;
        if (auto more = co_await read_more(); !more) co_return more.error();
    }
}

awaitable<void> Session::serve_tls() {
    const auto parsed = co_await read_hello();
    if (!parsed) co_return refuse("tls", dialled_.host, parsed.error().detail);
    const auto* hello = std::get_if<wire::ClientHello>(&*parsed);
    if (!hello) {
        const auto* malformed = std::get_if<wire::MalformedHello>(&*parsed);
        co_return refuse("tls", dialled_.host, malformed ? std::string(malformed->why) : "not TLS");
    }
    std::string name = dialled_.host;
    if (hello->server_name) {
        const auto canonical = policy::canonical_host(*hello->server_name);
        if (!canonical) co_return refuse("tls", {}, "the server name in the hello is not a host name");
        name = *canonical;
    }
    client_.replay(std::move(prefix_));
    const policy::Destination destination{name, dialled_.port};
    if (policy::decide_stream(*gateway_.rules.current()->policy, destination, true).allowed) {
        // Relayed, the inner one would name any host of the same provider; intercepted, nobody gets to open it.
        if (hello->encrypted_client_hello)
            co_return refuse("tls", name,
                             "the hello holds an encrypted one (ECH), which would be relayed unread: switch "
                             "that off in the client");
        co_return co_await serve_stream(destination, "tls");
    }
    // Also a name that nothing allows is intercepted: so its refusal can be read.
    ConnectionFacts facts{true, name, dialled_.port, false};
    const auto offers = [hello](std::string_view version) { return std::ranges::count(hello->alpn, version) > 0; };
    bool http2 = offers("h2");
    if (http2 && offers("http/1.1")) http2 = co_await origin_may_speak_http2(facts);
    if (const auto done = co_await intercept(name, http2); !done) co_return refuse("tls", name, done.error().detail);
    if (co_await waits_for_greeting(destination))
        co_return refuse("tls", name,
                         "the client says nothing: a protocol whose server begins needs tls = \"passthrough\"");
    facts.http2 = http2;
    co_await serve_http(std::move(facts));
}

/// The client shall get the version that the origin would have agreed to. Where nothing is known, it gets what it wants
/// most: any version can be turned into any other.
awaitable<bool> Session::origin_may_speak_http2(const ConnectionFacts& facts) {
    const auto rules = gateway_.rules.current();
    const auto way = possible_way(*rules, facts);
    if (!way || !way->tls || !gateway_.audit.healthy()) co_return true;
    const auto key = origin_key(*way, facts);
    if (const auto known = gateway_.origins.speaks_http2(key)) co_return *known;
    net::Lifeline lifeline(gateway_.watchdog);  // an origin that is silent fails this question, not the connection
    lifeline.expect_within(gateway_.limits.hello, "asking the origin for its HTTP version");
    client_.lifeline().expect_of_client(gateway_.limits.connect, "handshake");
    const auto answer = co_await gateway_.origins.ask_for_http2(key, lifeline);
    question_ = connection_event(facts.name, "alpn");
    question_->decision = audit::Decision::allow;
    question_->reason = "asked which versions of HTTP it speaks";
    if (!answer) question_->reason += ", ended: " + answer.error().detail;
    co_return !answer || *answer;
}

Task<void> Session::intercept(const std::string& name, bool http2) {
    const auto policy = gateway_.rules.current()->policy;
    const bool wanted = policy->mode() == policy::Mode::audit ||
                        policy::rule_for_some_request(*policy, {name, dialled_.port}) != nullptr;
    const auto leaf = gateway_.leaves.get(name, wanted);
    if (!leaf) co_return leaf.error();
    auto ssl = gateway_.server_tls.make_ssl(name, *leaf, http2);
    if (!ssl) co_return ssl.error();
    auto done = co_await client_.handshake(std::move(*ssl));
    if (!done && says_untrusted(done.error().detail))
        co_return Error{ErrorKind::tls,
                        "the client does not trust the gateway's CA: its runtime reads another trust store"};
    co_return done;
}

/// On a port for other protocols too: inside TLS that we end only HTTP is served, whose client begins.
awaitable<bool> Session::waits_for_greeting(const policy::Destination& destination) {
    if (!policy::decide_stream(*gateway_.rules.current()->policy, destination, false).allowed) co_return false;
    client_.lifeline().expect_of_client(gateway_.limits.hello, "first bytes inside TLS");
    const auto spoke = co_await client_.wait_readable();
    co_return !spoke && spoke.error().kind == ErrorKind::timed_out;
}

awaitable<void> Session::serve_http(ConnectionFacts facts) {
    const RequestSource source{client_address_, original_};
    if (facts.http2) {
        const auto service = std::make_shared<Http2Service>(gateway_, client_, std::move(facts), source);
        co_await service->run();
        if (service->any_request()) question_.reset();
        co_return;
    }
    Http1Service service(gateway_, client_, std::move(facts), source);
    co_await service.run();
    if (service.any_request()) question_.reset();
}

/// nullopt: refused.
std::optional<StreamPermit> Session::permit_stream(const policy::Destination& destination, const char* protocol) {
    const bool tls = std::string_view(protocol) == "tls";
    const auto rules = gateway_.rules.current();
    const auto verdict = policy::decide_stream(*rules->policy, destination, tls);
    std::string rule = verdict.rule ? verdict.rule->where.to_string() : std::string();
    if (verdict.allowed && gateway_.audit.healthy())
        return StreamPermit{destination, tls, verdict.rule && verdict.rule->private_addresses, std::move(rule),
                            verdict.would_deny ? policy::describe(verdict, destination, nullptr) : std::string()};
    refuse(protocol, destination.host, policy::describe(verdict, destination, nullptr), std::move(rule));
    return std::nullopt;
}

awaitable<void> Session::serve_stream(policy::Destination destination, const char* protocol) {
    const auto permit = permit_stream(destination, protocol);
    if (!permit) co_return;
    auto& lifeline = client_.lifeline();
    const Passage passage(gateway_.rules, lifeline,
                          [&permit](const Rules& rules) { return objection(rules, *permit); });
    auto event = connection_event(destination.host, protocol);
    event.decision = audit::Decision::allow;
    event.rule = permit->rule;
    event.reason = permit->would_deny;

    lifeline.expect_within(gateway_.limits.connect, "connecting to the origin");
    auto socket =
        co_await gateway_.dialler.dial(lifeline, destination.host, destination.port, permit->private_addresses);
    if (!socket) {
        // A question or a SYN has gone out: the line is kept where refusals are only counted.
        if (lifeline.ended() && lifeline.reason().kind == ErrorKind::unavailable) {
            event.reason = "ended: " + socket.error().detail;
            co_return gateway_.audit.record(std::move(event));
        }
        refuse(protocol, destination.host, socket.error().detail, permit->rule);
        co_return;
    }
    if (const auto kind = gateway_.dialler.private_peer(destination.host, destination.port, *socket)) {
        event.private_address = true;
        if (event.reason.empty() && !permit->private_addresses)
            event.reason = destination.host + " has " + *kind + ", and the rule has no private = true";
    }
    event.would_deny = !event.reason.empty();
    net::Stream origin(std::move(*socket), lifeline);
    lifeline.expect_within(gateway_.limits.tunnel.idle, "no byte in either direction");
    net::RelayCount bytes;
    const auto done = co_await net::relay(client_, origin, bytes);
    if (!event.would_deny) event.reason = "passed through";
    if (!done) event.reason += ", ended: " + done.error().detail;
    event.bytes = {bytes.from_client, bytes.from_origin};
    event.duration = since(began_steady_);  // now that it is over
    gateway_.audit.record(std::move(event));
}

audit::ConnectionEvent Session::connection_event(std::string host, const char* protocol) const {
    audit::ConnectionEvent event;
    event.time = began_;
    event.client = client_address_;
    event.original_dst = original_;
    event.host = std::move(host);
    event.port = dialled_.port;
    event.protocol = protocol;
    event.duration = since(began_steady_);
    return event;
}

void Session::refuse(const char* protocol, std::string host, std::string why, std::string rule) {
    auto event = connection_event(std::move(host), protocol);
    event.decision = audit::Decision::deny;
    event.rule = std::move(rule);
    event.reason = std::move(why);
    gateway_.audit.record(std::move(event));
    client_.reset();
}

awaitable<void> serve_redirected(Gateway& gateway, net::Socket socket) {
    net::Lifeline lifeline(gateway.watchdog);
    net::Stream stream(std::move(socket), lifeline);
    const int fd = stream.socket().native_handle();
    const auto client = net::client_address(fd);
    const auto original = net::original_destination(fd);
    const ClientAddr from = client ? *client : ClientAddr{};
    if (!original) {
        Session(gateway, stream, from, {}, {}).refuse("tcp", {}, original.error().detail);
        co_return;
    }
    Session session(gateway, stream, from, *original, {original->address.to_string(), original->port});
    co_await session.run();
}

}  // namespace sallyport::session
