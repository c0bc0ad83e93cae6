// A body that is rewritten while all of it is at hand: whoever has come first is not served alone.

#include "gateway/session/edited_end.hpp"

#include <boost/asio/post.hpp>

#include "tests/support/run_task.hpp"
#include "tests/support/vault.hpp"

using namespace sallyport;
using http::Pieces;
using wire::Framing;

namespace {

const std::string kValue = "real-Value-0123456789/ABCDEF";

/// Has all of its body at hand, so that nobody ever waits for it.
class ReadyOrigin final : public http::OriginEnd {
public:
    ReadyOrigin(wire::ResponseHead head, std::string piece, std::size_t pieces)
        : head_(std::move(head)), piece_(std::move(piece)), pieces_(pieces) {}

    net::Task<wire::ResponseHead> read_head() override { co_return head_; }
    net::Task<Pieces> read_body() override { co_return buffered_body(); }
    Result<Pieces> buffered_body() override {
        if (body_done()) return Pieces();
        --pieces_;
        view_ = piece_;
        return Pieces(&view_, 1);
    }
    bool body_done() const override { return pieces_ == 0; }
    const wire::Fields& trailers() const override { return trailers_; }
    net::Task<void> write(Pieces, const wire::Fields*) override { co_return Result<void>{}; }
    void switch_protocols() override {}
    void interrupt() override {}
    void resume() override {}
    void start(const wire::RequestHead&) override {}
    bool untouched() const override { return false; }
    std::optional<std::uint32_t> reset_code() const override { return std::nullopt; }
    const std::optional<std::string>& private_address() const override { return private_address_; }
    void finish() override {}

private:
    const wire::ResponseHead head_;
    const std::string piece_;
    std::size_t pieces_;
    std::string_view view_;
    wire::Fields trailers_;
    std::optional<std::string> private_address_;
};

wire::ResponseHead ok(wire::BodyFraming body, wire::Fields fields = {}) {
    wire::ResponseHead head;
    head.status = 200;
    head.body = body;
    head.fields = std::move(fields);
    if (body.kind == Framing::length) head.fields.push_back({"Content-Length", std::to_string(body.length)});
    return head;
}

struct Ground {
    Ground() {
        vault.bind("k", kValue).placeholder = "placeholder";
        lifeline.expect_within(std::chrono::hours(1), "the test");
    }

    boost::asio::io_context io;
    net::Watchdog watchdog{io.get_executor()};
    net::Lifeline lifeline{watchdog};
    test::Vault vault;
};

/// All of the body, as an exchange reads it.
net::Task<std::size_t> read_all(session::ScrubbedOrigin& origin) {
    std::size_t size = 0;
    auto pieces = origin.buffered_body();
    for (;; pieces = co_await origin.read_body()) {
        if (!pieces) co_return pieces.error();
        for (const auto piece : *pieces) size += piece.size();
        if (origin.body_done()) co_return size;
    }
}

/// Of `megabytes` that repeat what is too far back for our encoder to see: a few bytes in, many out.
std::string repeating(http::Coding coding, int megabytes) {
    std::string block;
    for (std::uint32_t i = 0, x = 1; i < 256 * 1024; ++i) block += "ab"[(x = x * 1664525 + 1013904223) >> 31];
    std::string out;
    const auto encoder = http::make_encoder(coding);
    for (int i = 0; i < 4 * megabytes; ++i) encoder->put(block, i == 4 * megabytes - 1, out);
    return out;
}

}  // namespace

TEST_CASE("edited end: others have their turn while a body is at hand, and it ends with its lifeline") {
    Ground ground;
    ReadyOrigin inner(ok({Framing::chunked, 0}), std::string(16 * 1024, 'x'), 100'000);  // 1.6 GB
    session::ScrubbedOrigin origin(inner, ground.vault.secrets.bound, ground.lifeline);
    REQUIRE(testing::run(ground.io, origin.read_head()).has_value());
    const auto read = testing::start(ground.io, read_all(origin));
    boost::asio::post(ground.io, [&] { ground.lifeline.end({ErrorKind::end_of_stream, "the client went away"}); });
    const auto result = testing::finish(ground.io, read);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().detail == "the client went away");
    CHECK_FALSE(inner.body_done());
}

TEST_CASE("edited end: likewise while the head waits for what a small body expands to") {
    Ground ground;
    std::string bomb;
    const auto encoder = http::make_encoder(http::Coding::zstd);
    for (int i = 0; i < 64; ++i) encoder->put(std::string(1 << 20, '\0'), i == 63, bomb);
    REQUIRE(bomb.size() < session::kMostWhole);
    ReadyOrigin inner(ok({Framing::length, bomb.size()}, {{"Content-Encoding", "zstd"}}), bomb, 1);
    session::ScrubbedOrigin origin(inner, ground.vault.secrets.bound, ground.lifeline);
    const auto head = testing::start(ground.io, origin.read_head());
    boost::asio::post(ground.io, [&] { ground.lifeline.end({ErrorKind::end_of_stream, "the client went away"}); });
    const auto result = testing::finish(ground.io, head);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().detail == "the client went away");
}

TEST_CASE("edited end: what a small body expands to goes without a length once it is large") {
    Ground ground;
    for (const auto& named : {std::pair{"gzip", http::Coding::gzip}, {"br", http::Coding::brotli}}) {
        const std::string name = named.first;
        CAPTURE(name);
        const auto body = repeating(named.second, 4);
        ReadyOrigin inner(ok({Framing::length, 1000}, {{"Content-Encoding", name}}), body, 1);  // as a bomb would be
        session::ScrubbedOrigin origin(inner, ground.vault.secrets.bound, ground.lifeline);
        const auto head = testing::run(ground.io, origin.read_head());
        REQUIRE(head.has_value());
        CHECK(head->body.kind == Framing::chunked);
        CHECK(wire::count(head->fields, "Content-Length") == 0);
        const auto first = origin.buffered_body();
        REQUIRE(first.has_value());
        REQUIRE(first->size() == 1);
        CHECK(first->front().size() < session::kMostWhole + 2 * http::kCodingPiece);  // that is what was held
        const auto rest = testing::run(ground.io, read_all(origin));
        REQUIRE_MESSAGE(rest.has_value(), rest.error().detail);
        CHECK(*rest > 4 * session::kMostWhole);
    }
}
