#pragma once
// The end of a connection whose client may still be sending.

#include "gateway/net/stream.hpp"

namespace sallyport::session {

/// Closes our side and reads what the client still sends, for at most `time`, so that a reset does not overtake our
/// last bytes.
boost::asio::awaitable<void> linger(net::Stream& client, std::chrono::seconds time);

}  // namespace sallyport::session
