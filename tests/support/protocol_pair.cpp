#include "tests/support/protocol_pair.hpp"

#include <fmt/format.h>

#include <chrono>
#include <stdexcept>

#include "tests/support/test_ca.hpp"

namespace sallyport::test {
namespace {

constexpr int kPatienceMs = 10'000;

const char* alpn(Version version) { return version == Version::http2 ? "h2" : "http/1.1"; }

}  // namespace

WaitingOrigin::WaitingOrigin(Version version)
    : version_(version),
      listener_(
          [this](WirePeer& peer) {
              const std::lock_guard lock(mutex_);
              waiting_.push_back(std::move(peer));
              came_.notify_one();
          },
          testing::make_server(GatewayFixture::origin_ca().good(ProtocolPair::kName), alpn(version))) {}

void WaitingOrigin::take_up(int milliseconds) {
    std::unique_lock lock(mutex_);
    came_.wait_for(lock, std::chrono::milliseconds(milliseconds), [this] { return !waiting_.empty(); });
    for (; !waiting_.empty(); waiting_.pop_front()) {
        if (version_ == Version::http1) {
            http1_.push_back({std::make_shared<WirePeer>(std::move(waiting_.front())), {}});
            continue;
        }
        http2_.push_back(std::make_shared<Http2Peer>(std::move(waiting_.front()), Http2Peer::Role::origin));
        http2_.back()->start(settings);
    }
}

MessageEndPtr WaitingOrigin::request_that_came() {
    for (auto& [wire, exchange] : http1_) {
        const auto last = exchange.lock();
        if ((last && !last->is_over()) || !wire->has_input() || wire->closed()) continue;
        const auto next = http1_end(wire);
        exchange = next;
        last_http1_ = wire;
        return next;
    }
    for (const auto& peer : http2_) {
        peer->take_frames();
        if (const auto stream = peer->take_request()) {
            last_http2_ = peer;
            return http2_end(peer, *stream);
        }
    }
    return nullptr;
}

MessageEndPtr WaitingOrigin::request_within(int milliseconds) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    do {
        take_up(5);
        if (auto request = request_that_came()) return request;
    } while (std::chrono::steady_clock::now() < limit);
    return nullptr;
}

MessageEndPtr WaitingOrigin::next_request() {
    auto request = request_within(kPatienceMs);
    if (!request) throw std::runtime_error("no request came for 10 seconds");
    return request;
}

ProtocolPair::ProtocolPair(Versions versions, const std::string& policy, session::TimeLimits limits)
    : versions_(versions),
      origin_(versions.origin),
      policy_(fmt::format("[[allow]]\nhost = \"{}\"\nport = {}\nprivate = true\n{}", kName, origin_.port(), policy)),
      gateway_(policy_, limits) {}

std::string ProtocolPair::authority() const { return fmt::format("{}:{}", kName, origin_.port()); }

WirePeer& ProtocolPair::http1_client() {
    if (!http1_) http1_ = std::make_shared<WirePeer>(gateway_.tls_client(kName, origin_.port(), alpn(Version::http1)));
    return *http1_;
}

Http2Peer& ProtocolPair::http2_client(const Http2Peer::Settings& settings) {
    if (!http2_) {
        http2_ = std::make_shared<Http2Peer>(gateway_.tls_client(kName, origin_.port(), alpn(Version::http2)),
                                             Http2Peer::Role::client);
        http2_->start(settings);
    }
    return *http2_;
}

ProtocolPair::Ends ProtocolPair::exchange(const MessageHead& request, bool ended) {
    Ends ends;
    ends.client = client();
    ends.client->send_head(request, ended);
    ends.origin = origin();
    ends.origin->read_head();
    return ends;
}

MessageEndPtr ProtocolPair::client(const std::string& other) {
    const auto named = other.empty() ? authority() : other;
    if (versions_.client == Version::http1) {
        http1_client();
        return http1_end(http1_, named);
    }
    const auto stream = http2_client().new_stream();
    return http2_end(http2_, stream, named);
}

void ProtocolPair::leave() {
    if (http1_) http1_->close();
    if (http2_) http2_->wire().close();
    http1_.reset();
    http2_.reset();
}

}  // namespace sallyport::test
