#include "gateway/http/origin_pool.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

namespace sallyport::http {
namespace {

using net::Task;

const char* protocol_text(OriginKey::Protocol protocol) {
    switch (protocol) {
        case OriginKey::Protocol::http1:
            return " http/1.1";
        case OriginKey::Protocol::http2:
            return " h2";
        default:
            return "";
    }
}

bool agreed_on_http2(const net::Stream& stream) {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(stream.ssl(), &name, &size);
    return std::string_view(reinterpret_cast<const char*>(name), size) == "h2";
}

}  // namespace

std::string OriginKey::text() const {
    std::string out;
    out.reserve(host.size() + 48 + (options ? options->id.size() : 0));
    out.append(tls ? "https://" : "http://").append(host).append(":").append(std::to_string(port));
    if (private_addresses) out += " private";
    if (options) out.append(" ").append(options->id);
    return out += protocol_text(protocol);
}

/// A connection with a lifeline of its own: no request owns it.
struct OriginPool::Http2Origin {
    Http2Origin(net::Watchdog& watchdog, std::unique_ptr<Http1Connection> made)
        : lifeline(watchdog), transport(std::move(made)) {
        transport->stream.set_lifeline(&lifeline);
    }
    ~Http2Origin() { transport->stream.set_lifeline(nullptr); }

    net::Lifeline lifeline;
    std::unique_ptr<Http1Connection> transport;
    Http2Connection connection{Http2Session::Role::client};
};

/// Marks a key as being dialled; whoever waits is woken when that is over.
class OriginPool::Dialling {
public:
    Dialling(OriginPool& pool, std::string key) : pool_(pool), key_(std::move(key)) { pool_.dialling_[key_]; }
    ~Dialling() {
        auto over = pool_.dialling_.extract(key_);
        for (auto* waiting : over.mapped()) waiting->wake();
    }
    Dialling(const Dialling&) = delete;
    Dialling& operator=(const Dialling&) = delete;

private:
    OriginPool& pool_;
    const std::string key_;
};

OriginPool::OriginPool(net::Dialler& dialler, const tls::ClientContext& tls, net::Watchdog& watchdog)
    : dialler_(dialler), tls_(tls), watchdog_(watchdog) {}

OriginPool::~OriginPool() = default;

std::unique_ptr<Http1Connection> OriginPool::take_idle(const std::string& key) {
    drop_old();
    // The youngest first: the likeliest to be alive.
    for (auto it = idle_.end(); it != idle_.begin();) {
        --it;
        if (it->connection->key != key) continue;
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

void OriginPool::keep(std::unique_ptr<Http1Connection> connection) {
    connection->stream.set_lifeline(nullptr);
    connection->reused = true;
    drop_old();
    if (idle_.size() >= kMaxIdle) idle_.pop_front();
    if (idle_.size() >= kMaxWarm) connection->stream.release_buffers();
    idle_.push_back({std::move(connection), net::Clock::now()});
}

/// An HTTP/2 connection is not idle: it would have said that it goes.
OriginPool::Found OriginPool::find(const std::string& key, bool fresh) {
    Found found;
    const auto [first, last] = http2_.equal_range(key);
    const auto free = std::find_if(first, last, [](const auto& entry) {
        return !entry.second->connection.ended() && entry.second->connection.session().accepts_requests();
    });
    if (free != last) found.http2 = free->second;
    else if (!fresh) found.http1 = take_idle(key);
    return found;
}

Task<std::unique_ptr<OriginEnd>> OriginPool::acquire(OriginKey key, net::Lifeline& lifeline, bool fresh) {
    auto found = co_await find_or_connect(key, lifeline, fresh);
    if (!found) co_return found.error();
    std::unique_ptr<OriginEnd> end;
    if (found->http2) {
        auto& transport = *found->http2->transport;
        SharedConnection connection(found->http2, &found->http2->connection);
        const auto executor = transport.stream.socket().get_executor();
        end = std::make_unique<Http2OriginEnd>(std::move(connection), transport.private_address, key.tls, lifeline,
                                               executor);
    } else {
        auto keep_it = [this](auto it) { keep(std::move(it)); };
        end = std::make_unique<Http1OriginEnd>(std::move(found->http1), std::move(keep_it));
    }
    co_return end;
}

std::optional<bool> OriginPool::speaks_http2(const OriginKey& key) {
    const bool* known = speaks_http2_.find(key.text());
    return known ? std::optional(*known) : std::nullopt;
}

Task<bool> OriginPool::ask_for_http2(OriginKey key, net::Lifeline& lifeline) {
    auto found = co_await find_or_connect(key, lifeline, false);
    if (!found) co_return found.error();
    const bool http2 = found->http2 != nullptr;
    if (found->http1) keep(std::move(found->http1));
    co_return http2;
}

/// Of those who want the same HTTP/2 origin at the same time, one dials and the others wait for its connection.
Task<OriginPool::Found> OriginPool::find_or_connect(const OriginKey& key, net::Lifeline& lifeline, bool fresh) {
    const auto text = key.text();
    for (;;) {
        auto found = find(text, fresh);
        if (found.http2) co_return found;
        if (found.http1) {
            found.http1->stream.set_lifeline(&lifeline);
            co_return found;
        }
        const bool* http2 = speaks_http2_.find(text);
        const auto dialling = dialling_.find(text);
        if (dialling == dialling_.end() || (http2 && !*http2)) break;
        const auto executor = co_await boost::asio::this_coro::executor;
        net::LifelineTimer timer(executor, lifeline);
        dialling->second.push_back(&timer);
        co_await timer.wait_until(net::Clock::time_point::max());
        if (const auto still = dialling_.find(text); still != dialling_.end()) still->second.remove(&timer);
        if (lifeline.ended()) co_return lifeline.reason();
    }
    const auto marks = dialling_.contains(text) ? nullptr : std::make_unique<Dialling>(*this, text);
    auto made = co_await connect(key, text, lifeline);
    if (made) speaks_http2_.put(text, made->http2 != nullptr);
    co_return made;
}

Task<OriginPool::Found> OriginPool::connect(const OriginKey& key, std::string text, net::Lifeline& lifeline) {
    auto socket = co_await dialler_.dial(lifeline, key.host, key.port, key.private_addresses);
    if (!socket) co_return socket.error();
    auto connection = std::make_unique<Http1Connection>(std::move(*socket), lifeline);
    connection->key = std::move(text);
    connection->private_address = dialler_.private_peer(key.host, key.port, connection->stream.socket());
    bool http2 = key.protocol == OriginKey::Protocol::http2;
    if (key.tls) {
        if (auto done = co_await start_tls(key, connection->stream); !done) co_return done.error();
        http2 = agreed_on_http2(connection->stream);
    }
    Found found;
    if (http2) found.http2 = start_http2(std::move(connection));
    else found.http1 = std::move(connection);
    co_return found;
}

Task<void> OriginPool::start_tls(const OriginKey& key, net::Stream& stream) {
    auto ssl = tls_.make_ssl(key.host, key.port, key.options);
    if (!ssl) co_return ssl.error();
    static constexpr unsigned char kHttp1[] = "\x08http/1.1";
    if (key.protocol == OriginKey::Protocol::http1) SSL_set_alpn_protos(ssl->get(), kHttp1, sizeof kHttp1 - 1);
    if (auto done = co_await stream.handshake(std::move(*ssl)); !done) {
        const auto why = tls::verify_failure_text(stream.ssl());
        if (why.empty()) co_return done.error();
        co_return Error{ErrorKind::tls, key.host + ": " + why};
    }
    co_return Result<void>{};
}

OriginPool::Http2Ptr OriginPool::start_http2(std::unique_ptr<Http1Connection> made) {
    auto origin = std::make_shared<Http2Origin>(watchdog_, std::move(made));
    const auto executor = origin->transport->stream.socket().get_executor();
    const auto entry = http2_.emplace(origin->transport->key, origin);
    static constexpr Http2Times kTimes{kIdleTime, kIdleTime, kUnreadTime};
    auto run = [](OriginPool& pool, Http2Ptr it, decltype(entry) place) -> boost::asio::awaitable<void> {
        co_await it->connection.run(it->transport->stream, kTimes);
        pool.http2_.erase(place);
    };
    boost::asio::co_spawn(executor, run(*this, origin, entry), boost::asio::detached);
    return origin;
}

}  // namespace sallyport::http
