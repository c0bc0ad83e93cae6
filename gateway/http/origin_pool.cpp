#include "gateway/http/origin_pool.hpp"

#include <algorithm>

namespace sallyport::http {

std::string OriginKey::text() const {
    return (tls ? "https://" : "http://") + host + ":" + std::to_string(port) + (private_addresses ? " private" : "");
}

std::unique_ptr<Http1Connection> OriginPool::take_idle(const std::string& key) {
    drop_old();
    // The youngest first: the likeliest to be alive.
    for (auto it = idle_.end(); it != idle_.begin();) {
        --it;
        if (it->key != key) continue;
        auto connection = std::move(it->connection);
        it = idle_.erase(it);
        if (connection->stream.is_idle_and_open()) return connection;
    }
    return nullptr;
}

void OriginPool::drop_old() {
    const auto limit = net::Clock::now() - kIdleTime;
    while (!idle_.empty() && idle_.front().since < limit) idle_.pop_front();
}

void OriginPool::keep(std::string key, std::unique_ptr<Http1Connection> connection) {
    connection->stream.set_lifeline(nullptr);
    connection->reused = true;
    drop_old();
    if (idle_.size() >= kMaxIdle) idle_.pop_front();
    idle_.push_back({std::move(key), std::move(connection), net::Clock::now()});
}

net::Task<std::unique_ptr<OriginEnd>> OriginPool::acquire(OriginKey key, net::Lifeline& lifeline, bool fresh) {
    std::unique_ptr<Http1Connection> connection;
    if (!fresh) connection = take_idle(key.text());
    if (connection) {
        connection->stream.set_lifeline(&lifeline);
    } else {
        auto made = co_await connect(key, lifeline);
        if (!made) co_return made.error();
        connection = std::move(*made);
    }
    auto keep_it = [this, text = key.text()](auto it) { keep(text, std::move(it)); };
    std::unique_ptr<OriginEnd> end = std::make_unique<Http1OriginEnd>(std::move(connection), std::move(keep_it));
    co_return end;
}

net::Task<std::unique_ptr<Http1Connection>> OriginPool::connect(const OriginKey& key, net::Lifeline& lifeline) {
    auto socket = co_await dialler_.dial(lifeline, key.host, key.port, key.private_addresses);
    if (!socket) co_return socket.error();
    auto connection = std::make_unique<Http1Connection>(std::move(*socket), lifeline);
    connection->private_address = net::private_peer(connection->stream.socket());
    if (key.tls) {
        auto ssl = tls_.make_ssl(key.host, key.port);
        if (!ssl) co_return ssl.error();
        if (auto done = co_await connection->stream.handshake(std::move(*ssl)); !done) {
            const auto why = tls::verify_failure_text(connection->stream.ssl());
            if (why.empty()) co_return done.error();
            co_return Error{ErrorKind::tls, key.host + ": " + why};
        }
    }
    co_return connection;
}

}  // namespace sallyport::http
