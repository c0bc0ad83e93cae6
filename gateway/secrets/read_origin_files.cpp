#include "gateway/secrets/read_origin_files.hpp"

#include "gateway/base/startup_error.hpp"
#include "gateway/secrets/read_file.hpp"
#include "gateway/secrets/secret_value.hpp"

namespace sallyport::secrets {
namespace {

constexpr std::size_t kMaxBytes = 1024 * 1024;

StartupError failure(const policy::OriginRule& rule, const std::string& what) {
    return StartupError("[[origin]] (" + rule.where.to_string() + "): " + what);
}

std::string content_of(const policy::OriginRule& rule, const std::string& name) {
    auto content = read_file(name, kMaxBytes);
    if (!content) throw failure(rule, content.error().detail);
    if (content->size() > kMaxBytes) throw failure(rule, "the file " + name + " is longer than 1 MiB");
    return std::move(*content);
}

}  // namespace

std::shared_ptr<const tls::OriginFiles> read_origin_files(const policy::OriginRule& rule) {
    auto files = std::make_shared<tls::OriginFiles>();
    if (rule.ca) {
        auto authorities = tls::read_certificates(content_of(rule, *rule.ca));
        if (!authorities) throw failure(rule, "the file " + *rule.ca + " " + authorities.error().detail);
        files->authorities = std::move(*authorities);
    }
    if (rule.client_certificate && rule.client_key) {
        std::string certificate = content_of(rule, *rule.client_certificate);
        const CleanseAtExit cleanse_certificate(certificate);  // the key may be in the same file
        std::string key = content_of(rule, *rule.client_key);
        const CleanseAtExit cleanse_key(key);
        auto identity = tls::read_identity(certificate, key);
        if (!identity)
            throw failure(rule,
                          identity.error().detail + " (" + *rule.client_certificate + ", " + *rule.client_key + ")");
        files->identity = std::move(*identity);
    }
    return files;
}

}  // namespace sallyport::secrets
