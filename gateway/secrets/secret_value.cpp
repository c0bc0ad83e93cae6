#include "gateway/secrets/secret_value.hpp"

#include <openssl/crypto.h>
#include <algorithm>

namespace sallyport::secrets {

SecretValue::SecretValue(std::span<char> bytes) : bytes_(new char[bytes.size()], Cleanse{bytes.size()}) {
    std::copy(bytes.begin(), bytes.end(), bytes_.get());
    OPENSSL_cleanse(bytes.data(), bytes.size());
}

void SecretValue::Cleanse::operator()(char* bytes) const {
    OPENSSL_cleanse(bytes, size);
    delete[] bytes;
}

CleanseAtExit::~CleanseAtExit() {
    text_.resize(text_.capacity());  // what was cut off is still there
    OPENSSL_cleanse(text_.data(), text_.size());
}

}  // namespace sallyport::secrets
