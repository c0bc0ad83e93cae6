#include "gateway/session/http1_service.hpp"

#include "gateway/session/linger.hpp"

namespace sallyport::session {

using boost::asio::awaitable;

Http1Service::Http1Service(Gateway& gateway, net::Stream& client, ConnectionFacts facts, RequestSource source)
    : gateway_(gateway), client_(client), facts_(std::move(facts)), source_(source), reader_(client) {}

awaitable<void> Http1Service::run() {
    for (bool more = true; more;) {
        auto head = co_await next(gateway_.limits.keep_alive);
        if (!head) co_return;
        more = co_await serve(std::move(*head));
    }
}

awaitable<std::optional<wire::RequestHead>> Http1Service::next(std::chrono::seconds idle) {
    auto& lifeline = client_.lifeline();
    lifeline.expect_of_client(idle, "idle between requests");
    if (const auto begins = co_await reader_.wait_message(); !begins) co_return std::nullopt;
    request_began_ = net::Clock::now();
    lifeline.expect_of_client(gateway_.limits.head, "the head of a request");
    auto head = co_await reader_.read_head();
    if (head) co_return std::move(*head);
    co_await refuse_unreadable(head.error());
    co_return std::nullopt;
}

awaitable<bool> Http1Service::serve(wire::RequestHead head) {
    any_request_ = true;
    if (head.method == "CONNECT") head.keep_alive = false;  // what comes behind it was meant for a tunnel
    http::Http1ClientEnd client(client_, reader_, head);
    RequestService request(gateway_, source_, facts_, client, request_began_);
    const bool answered = co_await request.serve(std::move(head));
    co_return co_await end_of_request(client, answered);
}

awaitable<bool> Http1Service::refuse(Refusal refusal, const wire::RequestHead& head) {
    http::Http1ClientEnd client(client_, reader_, head);
    RequestService request(gateway_, source_, facts_, client, request_began_);
    const bool answered = co_await request.refuse(std::move(refusal), head);
    co_return co_await end_of_request(client, answered);
}

awaitable<void> Http1Service::refuse_unreadable(const Error& error) {
    wire::RequestHead unknown;
    unknown.keep_alive = false;
    http::Http1ClientEnd client(client_, reader_, unknown);
    RequestService request(gateway_, source_, facts_, client, request_began_);
    const bool answered = co_await request.refuse_unreadable(error);
    co_await end_of_request(client, answered);
}

awaitable<bool> Http1Service::end_of_request(const http::Http1ClientEnd& client, bool answered) {
    if (!answered) co_return false;
    if (client.keeps_alive()) co_return true;
    co_await linger(client_, gateway_.limits.linger);
    co_return false;
}

}  // namespace sallyport::session
