#include "tests/support/http2_reactions.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "tests/support/test_ca.hpp"

namespace sallyport::test {
namespace {

const std::string kName = "origin.test";

std::string policy_for(std::uint16_t port) {
    return fmt::format("[[allow]]\nhost = \"{}\"\nport = {}\nprivate = true\n", kName, port);
}

}  // namespace

Http2Server::Http2Server()
    : origin_([this](WirePeer& peer) { serve(peer); },
              testing::make_server(GatewayFixture::origin_ca().good(kName), "http/1.1")),
      gateway_(policy_for(origin_.port())) {}

void Http2Server::serve(WirePeer& peer) {
    const auto wire = std::make_shared<WirePeer>(std::move(peer));
    const auto end = http1_end(wire);
    const auto path = end->read_head().path;
    if (path.starts_with("/hold")) {
        held_.push_back(wire);
        return;
    }
    if (!end->read_rest().whole) return;
    {
        const std::lock_guard lock(mutex_);
        arrived_.push_back(path);
    }
    end->send_head(response(200, {{"content-length", "2"}, {"connection", "close"}}), false);
    end->send_body("ok");
}

std::size_t Http2Server::arrived(const std::string& path) {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(arrived_.begin(), arrived_.end(), [&](const std::string& one) { return one.starts_with(path); }));
}

Http2Peer Http2Server::connect() { return {gateway_.tls_client(kName, origin_.port(), "h2"), Http2Peer::Role::client}; }

Http2Peer Http2Server::start(const Http2Peer::Settings& settings) {
    auto peer = connect();
    peer.start(settings);
    peer.next_frame();
    return peer;
}

Fields Http2Server::head(const std::string& method, const std::string& path, const Fields& more) const {
    Fields fields{{":method", method},
                  {":scheme", "https"},
                  {":authority", fmt::format("{}:{}", kName, origin_.port())},
                  {":path", path}};
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
}

std::string reaction(Http2Peer& peer, bool answer) {
    // Asked twice: the first answer may overtake what was to be said of the frames before it.
    int unanswered = answer ? 0 : 2;
    if (!answer) peer.send({NGHTTP2_PING, 0, 0, "reaction"});
    while (const auto frame = peer.next_frame()) {
        const auto code = [&](std::size_t at) {
            return std::string(nghttp2_http2_strerror(static_cast<std::uint8_t>(frame->payload[at + 3])));
        };
        switch (frame->type) {
            case NGHTTP2_GOAWAY:
                peer.wait_for([] { return false; });  // to the end of the connection, or too long
                return "GOAWAY " + code(4);
            case NGHTTP2_RST_STREAM:
                return "RST_STREAM " + code(0) + (peer.answers_ping() ? "" : ", closed");
            case NGHTTP2_PING:
                if (!(frame->flags & NGHTTP2_FLAG_ACK) || frame->payload != "reaction" || answer) break;
                if (--unanswered == 0) return "ignored";
                peer.send({NGHTTP2_PING, 0, 0, "reaction"});
                break;
            case NGHTTP2_HEADERS: {
                const auto& blocks = peer.stream(frame->stream).blocks;
                if (!blocks.empty() && blocks.front().front().first == ":status") return blocks.front().front().second;
                break;
            }
            default:
                break;
        }
    }
    return "closed";
}

void try_cases(Http2Server& server, const std::vector<Http2Case>& cases) {
    for (const auto& one : cases) {
        auto peer = server.start();
        one.say(peer);
        const bool answer = std::any_of(one.accepted.begin(), one.accepted.end(), [](const std::string& one_of_them) {
            return std::isdigit(one_of_them.front());
        });
        const auto seen = reaction(peer, answer);
        const bool accepted = std::find(one.accepted.begin(), one.accepted.end(), seen) != one.accepted.end();
        CHECK_MESSAGE(accepted, one.situation, ": ", seen);
    }
    auto peer = server.start();
    peer.send_fields(peer.new_stream(), server.get(), true);
    CHECK(reaction(peer, true) == "200");  // whatever was said before harmed nobody else
}

}  // namespace sallyport::test
