#include "gateway/tls/authority.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/pem.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "gateway/base/startup_error.hpp"
#include "gateway/base/unique_fd.hpp"
#include "gateway/tls/certificate_parts.hpp"

namespace sallyport::tls {
namespace {

constexpr std::time_t kDay = 24 * 60 * 60;
constexpr std::time_t kClockSkew = 2 * kDay;
constexpr std::time_t kAuthorityLife = 730 * kDay;  // and as long before: a clock may be set back
constexpr std::time_t kRenewBefore = 30 * kDay;
constexpr std::time_t kLeafLife = 199 * kDay;  // what public authorities are held to from 2026: no client wants less
constexpr std::size_t kMaxCommonName = 64;     // RFC 5280, ub-common-name
constexpr off_t kMaxFile = 64 * 1024;
constexpr const char* kFile = "authority.pem";
constexpr const char* kNewFile = "authority.pem.new";

std::string common_name(std::time_t now) {
    char host[256] = {};
    if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
    const std::string date = fmt::format(", {:%Y-%m-%d})", fmt::gmtime(now));
    std::string name = "Sallyport CA (";
    for (const char* c = host; *c && name.size() + date.size() < kMaxCommonName; ++c) {
        const bool plain =
            (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '.';
        name += plain ? *c : '-';
    }
    return name + date;
}

/// `fd` is a folder or file of ours that nobody else may write, and (`secret`) nobody else may read.
void require_private(int fd, const std::string& path, bool secret) {
    struct stat status {};
    if (fstat(fd, &status) != 0) throw system_error(path, errno);
    if (status.st_uid != geteuid())
        throw StartupError(
            fmt::format("{} belongs to user {}, not to the gateway's user {}: give it to that user (chown) "
                        "or name another state folder",
                        path, status.st_uid, geteuid()));
    if (secret && (status.st_mode & 077) != 0)
        throw StartupError(
            fmt::format("{} has mode {:04o}: others may know the key. Remove it (rm '{}'); the next start "
                        "makes a new one",
                        path, status.st_mode & 07777, path));
    if ((status.st_mode & 022) != 0)
        throw StartupError(fmt::format("{} can be written by others: chmod 700 '{}'", path, path));
}

UniqueFd open_state_folder(const std::filesystem::path& dir) {
    std::error_code ec;
    std::filesystem::create_directories(dir.parent_path(), ec);
    if (mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) throw system_error("cannot make " + dir.string(), errno);
    UniqueFd fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) throw system_error("cannot open " + dir.string(), errno);
    require_private(fd.get(), dir.string(), false);
    return fd;
}

int no_password(char*, int, int, void*) { return -1; }

void write_all(int fd, const char* data, std::size_t size, const std::string& path) {
    while (size > 0) {
        const ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) throw system_error("cannot write " + path, errno);
        data += n;
        size -= static_cast<std::size_t>(n);
    }
}

[[noreturn]] void unusable(const std::string& path, const std::string& why) {
    throw StartupError(fmt::format("{} {}. Remove it (rm '{}'); the next start makes a new one", path, why, path));
}

}  // namespace

Authority::Authority(PkeyPtr key, X509Ptr certificate) : key_(std::move(key)), certificate_(std::move(certificate)) {
    const BioPtr text(BIO_new(BIO_s_mem()));
    char* data = nullptr;
    if (!text || PEM_write_bio_X509(text.get(), certificate_.get()) != 1)
        throw StartupError("cannot encode the authority's certificate: " + openssl_error());
    const long size = BIO_get_mem_data(text.get(), &data);
    certificate_pem_.assign(data, static_cast<std::size_t>(size));
}

Authority Authority::ephemeral(std::time_t now) {
    PkeyPtr key = make_p256_key();
    X509Ptr certificate(X509_new());
    X509* const x = certificate.get();
    const bool made = key && x && set_basics(x, key.get(), now - kAuthorityLife, now + kAuthorityLife) &&
                      set_common_name(X509_get_subject_name(x), common_name(now)) &&
                      X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
                      add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                      add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                      add_extension(x, x, NID_subject_key_identifier, "hash") &&
                      X509_sign(x, key.get(), EVP_sha256()) > 0;
    if (!made) throw StartupError("cannot make a certificate authority: " + openssl_error());
    return Authority(std::move(key), std::move(certificate));
}

Authority Authority::load_or_create(const std::filesystem::path& dir, std::time_t now) {
    const std::string path = dir / kFile;
    const UniqueFd folder = open_state_folder(dir);
    // Held until the file is there and read: of two first starts, the second finds what the first made.
    if (flock(folder.get(), LOCK_EX) != 0) throw system_error("cannot lock " + dir.string(), errno);
    const UniqueFd file(openat(folder.get(), kFile, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file && errno != ENOENT) throw system_error("cannot open " + path, errno);
    if (file) {
        Authority stored = load(file.get(), path);
        if (stored.not_before() <= now && now + kRenewBefore < stored.not_after()) return stored;
    }
    Authority made = ephemeral(now);
    made.save(folder.get(), path);
    return made;
}

Authority Authority::load(int fd, const std::string& path) {
    require_private(fd, path, true);
    struct stat status {};
    if (fstat(fd, &status) != 0) throw system_error(path, errno);
    if (!S_ISREG(status.st_mode) || status.st_size > kMaxFile) unusable(path, "is no file that this program wrote");
    const BioPtr text(BIO_new_fd(fd, BIO_NOCLOSE));
    if (!text) throw StartupError("cannot read " + path + ": " + openssl_error());
    PkeyPtr key(PEM_read_bio_PrivateKey(text.get(), nullptr, no_password, nullptr));
    X509Ptr certificate(key ? PEM_read_bio_X509(text.get(), nullptr, no_password, nullptr) : nullptr);
    if (!key || !certificate) unusable(path, "holds no key and certificate (" + openssl_error() + ")");
    if (X509_check_private_key(certificate.get(), key.get()) != 1) {
        openssl_error();
        unusable(path, "holds a key and a certificate that do not belong together");
    }
    if (X509_check_ca(certificate.get()) != 1 || !(X509_get_key_usage(certificate.get()) & KU_KEY_CERT_SIGN) ||
        !X509_get0_subject_key_id(certificate.get()))
        unusable(path, "holds a certificate that is no authority");
    return Authority(std::move(key), std::move(certificate));
}

void Authority::save(int dir, const std::string& path) const {
    const BioPtr text(BIO_new(BIO_s_mem()));  // wiped when freed, as a std::string would not be
    if (!text || PEM_write_bio_PrivateKey(text.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
        PEM_write_bio_X509(text.get(), certificate_.get()) != 1)
        throw StartupError("cannot encode the authority: " + openssl_error());
    char* data = nullptr;
    const auto size = static_cast<std::size_t>(BIO_get_mem_data(text.get(), &data));

    unlinkat(dir, kNewFile, 0);  // of a start that was killed at this point; we hold the lock
    const UniqueFd file(openat(dir, kNewFile, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) throw system_error("cannot make " + path + ".new", errno);
    write_all(file.get(), data, size, path + ".new");
    if (fsync(file.get()) != 0 || renameat(dir, kNewFile, dir, kFile) != 0)
        throw system_error("cannot save " + path, errno);
    fsync(dir);
}

std::time_t Authority::not_before() const { return to_time(X509_get0_notBefore(certificate_.get())); }
std::time_t Authority::not_after() const { return to_time(X509_get0_notAfter(certificate_.get())); }

Result<X509Ptr> Authority::sign_leaf(const std::string& host, EVP_PKEY* key, std::time_t now) const {
    if (now >= not_after()) return Error{ErrorKind::tls, "the gateway's certificate authority has expired: restart it"};
    X509Ptr certificate(X509_new());
    X509* const x = certificate.get();
    // A name that does not fit the subject stands in the alternative name alone, which must then be critical
    // (RFC 5280, 4.2.1.6).
    const bool in_subject = host.size() < kMaxCommonName;
    if (!x || !add_alternative_name(x, host, !in_subject)) {
        openssl_error();
        return Error{ErrorKind::malformed, "not a host name that a certificate can be made for"};
    }
    const bool made = set_basics(x, key, now - kClockSkew, std::min(now - kClockSkew + kLeafLife, not_after())) &&
                      (!in_subject || set_common_name(X509_get_subject_name(x), host)) &&
                      X509_set_issuer_name(x, X509_get_subject_name(certificate_.get())) == 1 &&
                      add_extension(x, certificate_.get(), NID_authority_key_identifier, "keyid:always") &&
                      add_extension(x, certificate_.get(), NID_basic_constraints, "critical,CA:FALSE") &&
                      add_extension(x, certificate_.get(), NID_key_usage, "critical,digitalSignature") &&
                      add_extension(x, certificate_.get(), NID_ext_key_usage, "serverAuth") &&
                      X509_sign(x, key_.get(), EVP_sha256()) > 0;
    if (!made) return Error{ErrorKind::tls, "cannot sign a certificate: " + openssl_error()};
    return certificate;
}

}  // namespace sallyport::tls
