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

    /// Of names that nobody wants, so many are minted at once, and so many in a second from then on: enough for every
    /// refusal that somebody reads, too few to keep a processor busy.
    static constexpr std::time_t kUnwantedAtOnce = 200;
    static constexpr std::time_t kUnwantedPerSecond = 20;

    /// The leaf for exactly `host` (canonical DNS name or the text of an address), with at least a day to live, if the
    /// authority has. `wanted`: some rule is about it. Errors as Authority::sign_leaf; ErrorKind::too_large for a name
    /// that is not wanted when there were too many of them.
    Result<Leaf> get(const std::string& host, bool wanted = true);

    std::size_t size() const;

private:
    struct Minted {
        std::shared_ptr<X509> certificate;
        std::time_t renew_at = 0;
    };

    bool may_mint_unwanted(std::time_t now);

    const Authority& authority_;
    const WallClock now_;
    const std::shared_ptr<EVP_PKEY> key_;
    mutable std::mutex mutex_;
    LruMap<Minted> minted_;
    std::time_t unwanted_left_ = kUnwantedAtOnce;
    std::time_t counted_at_ = 0;
};

}  // namespace sallyport::tls
