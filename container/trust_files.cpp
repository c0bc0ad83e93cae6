#include "container/trust_files.hpp"

#include <glob.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <vector>

#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

namespace fs = std::filesystem;

using Acceptable = std::function<bool(const std::string&)>;

std::vector<std::string> existing(const std::vector<std::string>& patterns, const Acceptable& acceptable) {
    std::vector<std::string> found;
    for (const auto& pattern : patterns) {
        glob_t matches{};
        if (::glob(pattern.c_str(), 0, nullptr, &matches) == 0)
            for (std::size_t i = 0; i < matches.gl_pathc; ++i) {
                if (!acceptable(matches.gl_pathv[i])) continue;
                std::error_code error;
                const auto real = fs::canonical(matches.gl_pathv[i], error);
                if (!error) found.push_back(real.string());
            }
        ::globfree(&matches);
    }
    return found;
}

}  // namespace

TrustListing look_up(const TrustCandidates& candidates, const Acceptable& acceptable) {
    return {existing(candidates.bundles, acceptable), existing(candidates.hash_directories, acceptable),
            existing(candidates.anchor_directories, acceptable), existing(candidates.java_stores, acceptable),
            existing(candidates.browser_directories, acceptable)};
}

void append_pem(std::string& bundle, const std::string& pem) {
    if (!bundle.empty() && bundle.back() != '\n') bundle += '\n';
    bundle += pem;
}

std::string subject_hash(const std::string& ca_pem) {
    struct Free {
        void operator()(BIO* bio) const { BIO_free(bio); }
        void operator()(X509* certificate) const { X509_free(certificate); }
    };
    const std::unique_ptr<BIO, Free> bio(BIO_new_mem_buf(ca_pem.data(), static_cast<int>(ca_pem.size())));
    const std::unique_ptr<X509, Free> ca(bio ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr) : nullptr);
    if (!ca) throw StartupError("the gateway's CA is not a certificate in PEM form");
    std::array<char, 16> text;
    std::snprintf(text.data(), text.size(), "%08lx",
                  X509_NAME_hash_ex(X509_get_subject_name(ca.get()), nullptr, nullptr, nullptr));
    return text.data();
}

bool add_hash_link(const std::string& directory, const std::string& hash) {
    const auto target = std::string(kCaName) + ".pem";
    for (int number = 0;; ++number) {
        const auto link = directory + "/" + hash + "." + std::to_string(number);
        if (::symlink(target.c_str(), link.c_str()) == 0) return true;
        if (errno != EEXIST) throw system_error("cannot create " + link, errno);
        std::error_code not_a_link;
        if (fs::read_symlink(link, not_a_link) == target) return false;
    }
}

}  // namespace sallyport::container
