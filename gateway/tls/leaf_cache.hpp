#pragma once
// The certificates that the gateway shows to clients, minted when a name is first seen.
//
// One lock is held while minting: it takes about a fifth of a millisecond and happens once a name, less than the
// handshake that needs it. So there is never more than one mint in flight for a name, without waiting lists.

#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "gateway/base/lru_map.hpp"
#include "gateway/base/result.hpp"
#include "gateway/tls/authority.hpp"

namespace sallyport::tls {

/// What SSL_use_certificate and SSL_use_PrivateKey want. Shared, immutable.
struct Leaf {
    std::shared_ptr<X509> certificate;
    std::shared_ptr<EVP_PKEY> key;
};

/// For all threads. The authority must outlive it.
class LeafCache {
public:
    using WallClock = std::function<std::time_t()>;

    /// Throws StartupError when no key can be made. One key serves all leaves of the process; it is never stored.
    explicit LeafCache(
        const Authority&, std::size_t capacity = 1024, WallClock now = [] { return std::time(nullptr); });

    /// The leaf for exactly `host` (canonical DNS name or the text of an address), with at least a day to live, if the
    /// authority has. Errors as Authority::sign_leaf.
    Result<Leaf> get(const std::string& host);

    std::size_t size() const;

private:
    struct Minted {
        std::shared_ptr<X509> certificate;
        std::time_t renew_at = 0;
    };

    const Authority& authority_;
    const WallClock now_;
    const std::shared_ptr<EVP_PKEY> key_;
    mutable std::mutex mutex_;
    LruMap<Minted> minted_;
};

}  // namespace sallyport::tls
