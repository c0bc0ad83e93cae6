#pragma once
// The explicit proxy, for clients that are set up to use one (HTTP_PROXY, HTTPS_PROXY): each connection begins with an
// HTTP/1.1 request (RFC 9110, section 9.3.6; RFC 9112, section 3.2).
//
//   CONNECT host:port -> 200 -> Session, as if the client had dialled host:port
//   GET http://host/  -> Http1Service, each request for a host of its own
//
// It grants nothing that a redirected connection would not get.

#include "gateway/net/stream.hpp"
#include "gateway/session/gateway.hpp"

namespace sallyport::session {

/// A connection that the listener of the explicit proxy accepted.
boost::asio::awaitable<void> serve_proxied(Gateway&, net::Socket);

}  // namespace sallyport::session
