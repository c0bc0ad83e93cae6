#pragma once
// The certificate authority that sandboxes are made to trust: one ECDSA P-256 key and its certificate.
//
// It is kept in one file, so that key and certificate can never be of two minds. The file belongs to this
// program: every start installs the certificate into the sandbox again, so nothing outside depends on it.

#include <ctime>
#include <filesystem>
#include <string>

#include "gateway/base/result.hpp"
#include "gateway/tls/openssl_handles.hpp"

namespace sallyport::tls {

class Authority {
public:
    /// The authority of `dir`/authority.pem. Made at first use, and made anew when less than 30 days of it are left
    /// (refusing would stop somebody's CI on a day that nobody chose; running sandboxes keep the old one) or when it
    /// holds from a later day on, since the clock was ahead. Any number of processes may start at once: all end with
    /// the same authority.
    /// Throws StartupError, with what to type, when the folder or file is not ours alone or holds no usable pair.
    static Authority load_or_create(const std::filesystem::path& dir, std::time_t now = std::time(nullptr));

    /// One that is never stored: the sandbox trusts a key that ends with this process.
    static Authority ephemeral(std::time_t now = std::time(nullptr));

    const std::string& certificate_pem() const { return certificate_pem_; }
    X509* certificate() const { return certificate_.get(); }
    std::time_t not_before() const;
    std::time_t not_after() const;

    /// A server certificate for exactly `host` (a canonical DNS name, or the text of an address) with the public half
    /// of `key`: valid from two days ago, since clocks differ, for at most 199 days and never longer than the
    /// authority itself. ErrorKind::malformed when `host` is neither; ErrorKind::tls when the authority has expired.
    /// May be called from several threads.
    Result<X509Ptr> sign_leaf(const std::string& host, EVP_PKEY* key, std::time_t now) const;

private:
    Authority(PkeyPtr key, X509Ptr certificate);
    static Authority load(int fd, const std::string& path);
    void save(int dir, const std::string& path) const;

    PkeyPtr key_;
    X509Ptr certificate_;
    std::string certificate_pem_;
};

}  // namespace sallyport::tls
