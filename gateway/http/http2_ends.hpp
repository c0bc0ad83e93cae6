#pragma once
// The ends of an exchange over one stream of an HTTP/2 connection.

#include <memory>
#include <vector>

#include "gateway/http/ends.hpp"
#include "gateway/http/http2_connection.hpp"

namespace sallyport::http {

/// A client's or an origin's connection, shared by the exchanges that go on over it.
using SharedConnection = std::shared_ptr<Http2Connection>;

/// What both have in common. On destruction a stream that is not over is reset, see Http2Session::release().
template <class Base>
class Http2End : public Base {
public:
    ~Http2End() override;
    net::Task<Pieces> read_body() final;
    Result<Pieces> buffered_body() final;
    bool body_done() const final { return stream_->in_ended && stream_->in.empty(); }
    const wire::Fields& trailers() const final { return stream_->trailers; }
    net::Task<void> write(Pieces, const wire::Fields* trailers) final;
    void switch_protocols() final {}  // DATA carries any bytes, and END_STREAM closes a side (RFC 8441, section 5)
    void interrupt() final;
    void resume() final { interrupted_ = false; }

protected:
    Http2End(SharedConnection, Http2Session::StreamPtr, net::Lifeline&, const boost::asio::any_io_executor&);

    /// Sends the head that was started. What is in the stream's `out` goes with it.
    virtual Result<void> submit_head() = 0;
    /// Why not to wait any longer; nothing: wait.
    std::optional<Error> hindrance() const;
    net::Task<void> wait_readable();

    const SharedConnection connection_;
    const Http2Session::StreamPtr stream_;
    net::Lifeline& lifeline_;
    bool head_waits_ = false;  ///< a head was started and has not gone yet

private:
    net::LifelineTimer readable_, writable_;
    std::vector<std::string> handed_;       ///< blocks that the reader is busy with
    std::vector<std::string_view> pieces_;  ///< of them
    bool interrupted_ = false;
};

/// `lifeline` is the request's own; it ends when the client resets the stream or goes away.
class Http2ClientEnd final : public Http2End<ClientEnd> {
public:
    Http2ClientEnd(SharedConnection, Http2Session::StreamPtr, net::Lifeline& lifeline,
                   const boost::asio::any_io_executor&);

    net::Task<void> send_interim(wire::ResponseHead&) override;
    void start(wire::ResponseHead&) override;
    void abandon_request() override {}
    bool knows_refused_streams() const override { return true; }
    void cut(std::uint32_t code) override;
    net::Lifeline& lifeline() override { return lifeline_; }

private:
    Result<void> submit_head() override;
    wire::Fields head_;
};

class Http2OriginEnd final : public Http2End<OriginEnd> {
public:
    /// `private_address`: of the connection.
    Http2OriginEnd(SharedConnection, std::optional<std::string> private_address, bool tls, net::Lifeline&,
                   const boost::asio::any_io_executor&);

    void start(const wire::RequestHead&) override;
    net::Task<wire::ResponseHead> read_head() override;
    bool untouched() const override { return stream_->untouched; }
    std::optional<std::uint32_t> reset_code() const override { return stream_->reset_code; }
    const std::optional<std::string>& private_address() const override { return private_address_; }
    void finish() override {}

private:
    Result<void> submit_head() override;
    const std::optional<std::string> private_address_;
    const bool tls_;
    bool to_head_ = false;
    wire::Fields head_;
};

}  // namespace sallyport::http
