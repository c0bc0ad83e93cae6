#include "gateway/tls/leaf_cache.hpp"

#include <algorithm>

#include "gateway/base/startup_error.hpp"
#include "gateway/tls/certificate_parts.hpp"

namespace sallyport::tls {
namespace {

constexpr std::time_t kRenewBefore = 24 * 60 * 60;

/// Not, where the clock was set back since it was made.
bool is_valid_yet(const X509& certificate, std::time_t now) {
    return now >= to_time(X509_get0_notBefore(&certificate));
}

}  // namespace

LeafCache::LeafCache(const Authority& authority, std::size_t capacity, WallClock now)
    : authority_(authority), now_(std::move(now)), key_(make_p256_key()), minted_(capacity) {
    if (!key_) throw StartupError("cannot make a key: " + openssl_error());
}

Result<Leaf> LeafCache::get(const std::string& host, bool wanted) {
    const std::lock_guard lock(mutex_);
    const std::time_t now = now_();
    if (const Minted* hit = minted_.find(host); hit && now < hit->renew_at && is_valid_yet(*hit->certificate, now))
        return Leaf{hit->certificate, key_};

    if (!wanted && !may_mint_unwanted(now))
        return Error{ErrorKind::too_large,
                     "no rule allows this name, nor too many others before it: no certificate is made for it"};
    auto certificate = authority_.sign_leaf(host, key_.get(), now);
    if (!certificate) return certificate.error();
    // Fills OpenSSL's lazily cached view of the extensions now, while no other thread has the certificate.
    X509_check_purpose(certificate->get(), -1, 0);
    const std::time_t renew_at = to_time(X509_get0_notAfter(certificate->get())) - kRenewBefore;
    const auto& minted = minted_.put(host, Minted{std::move(*certificate), renew_at});
    return Leaf{minted.certificate, key_};
}

/// A clock that was set back counts from there.
bool LeafCache::may_mint_unwanted(std::time_t now) {
    const auto passed = std::clamp<std::time_t>(now - counted_at_, 0, kUnwantedAtOnce);
    counted_at_ = now;
    unwanted_left_ = std::min(kUnwantedAtOnce, unwanted_left_ + passed * kUnwantedPerSecond);
    if (unwanted_left_ == 0) return false;
    --unwanted_left_;
    return true;
}

std::size_t LeafCache::size() const {
    const std::lock_guard lock(mutex_);
    return minted_.size();
}

}  // namespace sallyport::tls
