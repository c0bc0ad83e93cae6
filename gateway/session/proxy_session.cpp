#include "gateway/session/proxy_session.hpp"

#include "gateway/net/original_dst.hpp"
#include "gateway/policy/decide.hpp"
#include "gateway/session/authority.hpp"
#include "gateway/session/http1_service.hpp"
#include "gateway/session/session.hpp"

namespace sallyport::session {
namespace {

using boost::asio::awaitable;

constexpr std::string_view kEstablished = "HTTP/1.1 200 Connection established\r\n\r\n";

class ProxySession {
public:
    ProxySession(Gateway& gateway, net::Stream& client, ClientAddr from, OriginalDst port)
        : gateway_(gateway),
          client_(client),
          from_(from),
          port_(port),
          http_(gateway, client, own_facts(), {from, port}) {}

    awaitable<void> run() {
        auto idle = gateway_.limits.hello;
        for (bool more = true; more; idle = gateway_.limits.keep_alive) {
            http_.set_facts(own_facts());  // until the next head names another
            auto head = co_await http_.next(idle);
            if (!head) co_return;
            if (head->method == "CONNECT") co_return co_await tunnel(std::move(*head));
            more = co_await serve(std::move(*head));
        }
    }

private:
    awaitable<bool> serve(wire::RequestHead head) {
        const auto to = proxy_destination(head);
        if (!to) {
            auto refusal = unclear(head, to.error());
            co_return co_await http_.refuse(std::move(refusal), head);
        }
        http_.set_facts({false, to->host, to->port});
        co_return co_await http_.serve(std::move(head));
    }

    awaitable<void> tunnel(wire::RequestHead head) {
        head.keep_alive = false;  // what comes behind it was meant for the inside: a refusal ends the connection
        const auto to = proxy_destination(head);
        std::optional<Refusal> refusal;
        if (!to) refusal = unclear(head, to.error());
        // Of any other port the inside decides, and is intercepted so that its refusal can be read.
        else if (!gateway_.rules.current()->policy->allows_port(to->port)) refusal = closed_port(head, *to);
        if (refusal) {
            co_await http_.refuse(std::move(*refusal), head);
            co_return;
        }
        const auto told = co_await client_.write(kEstablished);
        if (!told) co_return;
        client_.replay(http_.take_rest());
        Session session(gateway_, client_, from_, port_, *to);
        co_await session.run();
    }

    Refusal unclear(const wire::RequestHead& head, const Error& error) const {
        Refusal refusal;
        refusal.status = 400;
        refusal.destination = {port_.address.to_string(), port_.port};
        refusal.method = head.method;
        refusal.target = head.target;
        refusal.why = error.detail;
        return refusal;
    }

    Refusal closed_port(const wire::RequestHead& head, const policy::Destination& to) const {
        const auto rules = gateway_.rules.current();
        const auto verdict = policy::decide_stream(*rules->policy, to, false);
        Refusal refusal;
        refusal.destination = to;
        refusal.method = head.method;
        refusal.target = head.target;
        refusal.why = policy::describe(verdict, to, nullptr);
        if (verdict.rule) refusal.rule = verdict.rule->where.to_string();
        else refusal.suggestion = policy::suggest_rule(to, nullptr, false);
        return refusal;
    }

    ConnectionFacts own_facts() const { return {false, port_.address.to_string(), port_.port}; }

    Gateway& gateway_;
    net::Stream& client_;
    const ClientAddr from_;
    const OriginalDst port_;  ///< where the client dialled the proxy
    Http1Service http_;
};

}  // namespace

awaitable<void> serve_proxied(Gateway& gateway, net::Socket socket) {
    net::Lifeline lifeline(gateway.watchdog);
    net::Stream stream(std::move(socket), lifeline);
    const auto client = net::client_address(stream.socket().native_handle());
    const auto port = net::local_address(stream.socket().native_handle());
    if (!client || !port) co_return;  // closed again already
    ProxySession session(gateway, stream, *client, *port);
    co_await session.run();
}

}  // namespace sallyport::session
