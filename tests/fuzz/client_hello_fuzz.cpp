// An answer other than "need more" does not depend on what follows, nor on how much of it was there when it was first
// given; and OpenSSL, which makes the handshake later, reads the same name out of the same bytes, or none at all.

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>

#include "gateway/wire/client_hello.hpp"
#include "tests/fuzz/require.hpp"

using namespace sallyport::wire;
using sallyport::fuzz::require;

namespace {

struct OpensslReading {
    bool reached = false;  ///< it took the hello for one, its extensions included
    std::optional<std::string> server_name;
};

int note(SSL* ssl, int* alert, void* reading) {
    auto& into = *static_cast<OpensslReading*>(reading);
    into.reached = true;
    if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) into.server_name = name;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

OpensslReading read_with_openssl(std::span<const std::uint8_t> bytes) {
    static SSL_CTX* const kContext = [] {
        SSL_CTX* context = SSL_CTX_new(TLS_server_method());
        require(context && SSL_CTX_set_min_proto_version(context, 0) == 1);
        SSL_CTX_set_tlsext_servername_callback(context, note);
        return context;
    }();
    OpensslReading reading;
    SSL_CTX_set_tlsext_servername_arg(kContext, &reading);
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(kContext), SSL_free);
    BIO* in = BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size()));
    require(ssl && in);
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl.get(), in, BIO_new(BIO_s_null()));
    SSL_accept(ssl.get());
    ERR_clear_error();
    return reading;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span<const std::uint8_t> bytes(data, size);
    const auto whole = parse_client_hello(bytes);
    const auto half = parse_client_hello(bytes.first(size / 2));
    if (!std::holds_alternative<NeedMore>(half)) require(half.index() == whole.index());
    if (std::holds_alternative<NeedMore>(whole)) require(size <= kMaxClientHello);
    const auto* hello = std::get_if<ClientHello>(&whole);
    if (hello) {
        require(hello->consumed <= size);
        require(std::holds_alternative<ClientHello>(parse_client_hello(bytes.first(hello->consumed))));
        require(std::holds_alternative<NeedMore>(parse_client_hello(bytes.first(hello->consumed - 1))));
        require(!hello->server_name || hello->server_name->find('\0') == std::string::npos);
    }
    const auto other = read_with_openssl(bytes);
    if (other.reached) {
        require(!std::holds_alternative<NeedMore>(whole));  // we are stricter (SSLv2's hello, for one), never behind
        if (hello) require(hello->server_name == other.server_name);
    }
    return 0;
}
