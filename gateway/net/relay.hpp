#pragma once
// Bytes both ways between two streams, looking at none of them.
//
// Each direction waits for its reader without holding anything. A small piece that has come goes through a buffer;
// behind a large one, what else has come goes through a pipe in the kernel, where both streams are plain (else, and
// without a descriptor left for a pipe, through the buffer too). Either way it takes no more from one side before the
// other has taken that, so what is held for a slow reader is one piece. A direction ends when its reader has ended in
// order and everything is written; the end is passed on, and the other direction goes on.

#include <cstdint>

#include "gateway/net/stream.hpp"

namespace sallyport::net {

/// Bytes that the other side's socket has taken.
struct RelayCount {
    std::uint64_t from_client = 0;
    std::uint64_t from_origin = 0;
};

/// Relays until both sides have ended. `count` is kept up to date while it runs. An error on one side resets both, also
/// when nobody reads that side because the other one takes nothing. The streams have one lifeline, each piece is
/// progress. SIGPIPE must be ignored (pipe.hpp).
Task<void> relay(Stream& client, Stream& origin, RelayCount& count);

}  // namespace sallyport::net
