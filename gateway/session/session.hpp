#pragma once
// One connection of the sandbox, from accept to audit.
//
//   original destination -> first bytes -> tls | http | other, name -> decide
//     -> refuse | pass through | intercept -> each request: HttpService
//
// run() owns both streams for as long as it runs; the lifeline ends it. Nothing is dialled before a decision.

#include <string>

#include "gateway/base/endpoint.hpp"
#include "gateway/net/stream.hpp"
#include "gateway/session/gateway.hpp"
#include "gateway/wire/client_hello.hpp"
#include "gateway/wire/detect.hpp"

namespace sallyport::session {

class Session {
public:
    Session(Gateway&, net::Socket);

    boost::asio::awaitable<void> run();

private:
    boost::asio::awaitable<void> serve();
    boost::asio::awaitable<void> serve_tls();
    boost::asio::awaitable<void> serve_http(bool tls, std::string name);
    boost::asio::awaitable<void> serve_stream(policy::Destination, const char* protocol);

    bool server_may_begin(const policy::Destination& dialled) const;
    std::optional<StreamPermit> permit_stream(const policy::Destination&, const char* protocol);
    net::Task<wire::Protocol> read_protocol();
    net::Task<wire::ClientHelloResult> read_hello();
    net::Task<void> read_more();
    net::Task<void> intercept(const std::string& name);
    void refuse(const char* protocol, std::string host, std::string why, std::string rule = {});
    std::string dialled_name() const;

    Gateway& gateway_;
    net::Lifeline lifeline_;
    net::Stream client_;
    ClientAddr client_address_;
    OriginalDst original_;
    std::string prefix_;   ///< bytes read ahead, until something else reads the stream
    audit::Time began_ = std::chrono::system_clock::now();
    net::Clock::time_point began_steady_ = net::Clock::now();
};

}  // namespace sallyport::session
