#pragma once
// Bytes both ways between two streams, looking at none of them.

#include <cstdint>

#include "gateway/net/stream.hpp"

namespace sallyport::net {

struct RelayCount {
    std::uint64_t from_client = 0;
    std::uint64_t from_origin = 0;
};

/// Relays until both sides have ended; a half-close is passed on and the other direction goes on. `count` is kept
/// up to date while it runs. An error on one side ends both.
Task<void> relay(Stream& client, Stream& origin, RelayCount& count);

}  // namespace sallyport::net
