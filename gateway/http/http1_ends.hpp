#pragma once
// The ends of an exchange over HTTP/1.1 (and 1.0 clients).

#include <functional>
#include <memory>

#include "gateway/http/ends.hpp"
#include "gateway/http/http1_reader.hpp"

namespace sallyport::http {

/// What both have in common: a message read by `Reader`, another written with a framing of its own.
template <class Base, class Reader>
class Http1End : public Base {
public:
    net::Task<Pieces> read_body() final { return reader_.read_body(); }
    Result<Pieces> buffered_body() final { return reader_.buffered_body(); }
    bool body_done() const final { return reader_.message_done(); }
    const wire::Fields& trailers() const final { return reader_.trailers(); }
    net::Task<void> write(Pieces, const wire::Fields* trailers) final;
    void switch_protocols() override;
    void interrupt() final { stream_.abort(); }
    void resume() final { stream_.resume(); }

protected:
    Http1End(net::Stream& stream, Reader& reader) : stream_(stream), reader_(reader) {}

    net::Stream& stream_;
    Reader& reader_;
    std::string out_;  ///< a head that has not gone yet
    wire::Framing framing_ = wire::Framing::none;
    bool switched_ = false;
};

extern template class Http1End<ClientEnd, Http1Reader<true>>;
extern template class Http1End<OriginEnd, Http1Reader<false>>;

/// For one request. The stream and the reader are the connection's, whose lifeline ends when the client goes away.
class Http1ClientEnd final : public Http1End<ClientEnd, Http1Reader<true>> {
public:
    Http1ClientEnd(net::Stream& stream, Http1Reader<true>& reader, const wire::RequestHead& request)
        : Http1End(stream, reader), minor_version_(request.minor_version), keep_alive_(request.keep_alive) {
        lifeline().watch_client(&stream_);
    }
    ~Http1ClientEnd() { lifeline().watch_client(nullptr); }

    net::Task<void> send_interim(wire::ResponseHead&) override;
    void start(wire::ResponseHead&) override;
    bool knows_refused_streams() const override { return false; }
    void cut(std::uint32_t) override { stream_.reset(); }
    void switch_protocols() override;
    net::Lifeline& lifeline() override { return stream_.lifeline(); }

    void abandon_request() override;
    /// False when no further request can be read behind this one.
    bool keeps_alive() const { return keep_alive_; }

private:
    const int minor_version_;
    bool keep_alive_;
};

/// A connection to an origin that carries one exchange after another.
struct Http1Connection {
    Http1Connection(net::Socket socket, net::Lifeline& lifeline)
        : stream(std::move(socket), lifeline), reader(stream) {}

    net::Stream stream;
    Http1Reader<false> reader;
    std::string key;  ///< of the pool: where it leads
    std::optional<std::string> private_address;
    bool reused = false;
};

class Http1OriginEnd final : public Http1End<OriginEnd, Http1Reader<false>> {
public:
    /// `keep` gets the connection when it can be used again.
    using Keep = std::function<void(std::unique_ptr<Http1Connection>)>;

    Http1OriginEnd(std::unique_ptr<Http1Connection> connection, Keep keep)
        : Http1End(connection->stream, connection->reader),
          connection_(std::move(connection)),
          keep_(std::move(keep)) {}

    void start(const wire::RequestHead&) override;
    net::Task<wire::ResponseHead> read_head() override;
    bool untouched() const override { return untouched_; }
    std::optional<std::uint32_t> reset_code() const override { return std::nullopt; }
    const std::optional<std::string>& private_address() const override { return connection_->private_address; }
    void finish() override;

private:
    std::unique_ptr<Http1Connection> connection_;
    Keep keep_;
    bool to_head_ = false;  ///< its response has no body
    bool untouched_ = false;
    bool keep_alive_ = false;
    bool upgrade_ = false;  ///< it was asked to switch protocols
};

}  // namespace sallyport::http
