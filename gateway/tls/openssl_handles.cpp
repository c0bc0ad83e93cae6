#include "gateway/tls/openssl_handles.hpp"

#include <openssl/err.h>

namespace sallyport::tls {

std::string openssl_error() {
    const unsigned long first = ERR_get_error();
    ERR_clear_error();
    const char* reason = ERR_reason_error_string(first);
    return reason ? reason : "unknown error";
}

}  // namespace sallyport::tls
