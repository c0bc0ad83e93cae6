#include "gateway/secrets/secret_value.hpp"

#include <openssl/crypto.h>

#include <algorithm>

#include "gateway/base/startup_error.hpp"

namespace sallyport::secrets {

SecretValue::SecretValue(std::span<char> bytes)
    : bytes_(static_cast<char*>(OPENSSL_secure_malloc(bytes.size())), Cleanse{bytes.size()}) {
    if (!bytes_) throw StartupError(kSecretsDoNotFit);
    std::copy(bytes.begin(), bytes.end(), bytes_.get());
    OPENSSL_cleanse(bytes.data(), bytes.size());
}

void SecretValue::Cleanse::operator()(char* bytes) const { OPENSSL_secure_clear_free(bytes, size); }

CleanseAtExit::~CleanseAtExit() {
    text_.resize(text_.capacity());  // what was cut off is still there
    OPENSSL_cleanse(text_.data(), text_.size());
}

}  // namespace sallyport::secrets
