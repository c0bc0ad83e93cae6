#pragma once
// The origin of the tests that are about messages and transfers (tests/clients/transfer_origin.js): HTTP/1.1 and
// HTTP/2, with TLS and without.

#include <cstdint>
#include <string>

#include "tests/support/stand_in.hpp"

namespace sallyport::test {

/// How an origin is spoken to; http2 is by prior knowledge.
enum class Speaks { https1, https2, http1, http2 };

class TransferOrigin : public StandIn {
public:
    TransferOrigin();

    /// The policy's lines that make it the origin of `host`.
    std::string route(const std::string& host, Speaks) const;
    /// The same, and all of it is allowed.
    std::string serves(const std::string& host, Speaks) const;
    /// How far the transfer `name` is, in bytes; waits until it is at `least`.
    std::uint64_t moved(const std::string& name, std::uint64_t least = 0) const;
    /// Counts `bytes` for the transfer `name`: what waits for that goes on.
    void move(const std::string& name, std::uint64_t bytes) const;

private:
    std::string address_of(Speaks) const;
    std::string ask(const std::string& path) const;
};

}  // namespace sallyport::test
