#include "gateway/session/http2_service.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "gateway/http/websocket.hpp"
#include "gateway/session/linger.hpp"
#include "gateway/wire/http2_head.hpp"

namespace sallyport::session {

using boost::asio::awaitable;

Http2Service::Http2Service(Gateway& gateway, net::Stream& client, ConnectionFacts facts, RequestSource source)
    : gateway_(gateway),
      client_(client),
      facts_(std::move(facts)),
      source_(source),
      request_ended_(client.socket().get_executor(), net::Clock::time_point::max()) {}

awaitable<void> Http2Service::run() {
    using namespace boost::asio::experimental::awaitable_operators;
    const auto self = shared_from_this();
    const boost::asio::any_io_executor executor = client_.socket().get_executor();
    const http::Http2Times times{gateway_.limits.keep_alive, gateway_.limits.head, gateway_.limits.exchange};
    try {
        co_await (connection_.run(client_, times) && accept_all(executor));
    } catch (const std::exception&) {
        end_without_memory();
    }
    // Their lifelines have ended with the connection.
    while (requests_ > 0) co_await request_ended_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    client_.resume();
    co_await linger(client_, gateway_.limits.linger);
}

awaitable<void> Http2Service::accept_all(const boost::asio::any_io_executor& executor) {
    for (;;) {
        // Streams that were reset count until nothing is done for them any more.
        while (requests_ >= http::Http2Connection::kTowardsClients.streams)
            co_await request_ended_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
        auto stream = co_await connection_.next_request(client_.lifeline(), executor);
        if (!stream) co_return;
        ++requests_;
        ++gateway_.streams;
        boost::asio::co_spawn(executor, serve(std::move(stream), executor),
                              [self = shared_from_this()](const std::exception_ptr& failed) {
                                  --self->requests_;
                                  --self->gateway_.streams;
                                  self->request_ended_.cancel();
                                  if (failed) self->end_without_memory();
                              });
    }
}

/// Nothing else is thrown here. The connection ends, with the requests that share it, and no other.
void Http2Service::end_without_memory() { client_.lifeline().end({ErrorKind::io, "out of memory"}); }

awaitable<void> Http2Service::serve(StreamPtr stream, boost::asio::any_io_executor executor) {
    const auto self = shared_from_this();
    const auto began = net::Clock::now();
    net::Lifeline lifeline(gateway_.watchdog);
    auto raw = std::move(stream->heads.front());
    stream->heads.pop_front();
    http::SharedConnection connection(self, &connection_);
    http::Http2ClientEnd client(std::move(connection), std::move(stream), lifeline, executor);
    RequestService request(gateway_, source_, facts_, client, began);
    const Error too_large{ErrorKind::too_large, "header fields too large"};
    Result<wire::RequestHead> head = too_large;
    if (!raw.too_large)
        head = wire::request_from_http2(std::move(raw.fields), raw.ended, facts_.tls ? "https" : "http");
    // The origin is asked over HTTP/1.1, which wants more of a handshake.
    if (head && !head->upgrade.empty()) wire::set(head->fields, "Sec-WebSocket-Key", http::websocket_key());
    if (!head) {
        co_await request.refuse_unreadable(head.error());
        co_return;
    }
    any_request_ = true;
    if (gateway_.streams > Gateway::kMaxStreams) {
        Refusal refusal{503, {facts_.name, facts_.port}, head->method, {}, "too many requests are under way", {}, {},
                        {}};
        co_await request.refuse(std::move(refusal), *head);
        co_return;
    }
    co_await request.serve(std::move(*head));
}

}  // namespace sallyport::session
