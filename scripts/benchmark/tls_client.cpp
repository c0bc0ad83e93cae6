#include "scripts/benchmark/tls_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace sallyport::bench {
namespace {

std::string ssl_error_text(const char* what) {
    const auto code = ::ERR_get_error();
    const char* reason = code != 0 ? ::ERR_reason_error_string(code) : nullptr;
    return std::string(what) + ": " + (reason ? reason : errno != 0 ? std::strerror(errno) : "the peer closed");
}

UniqueFd start_to_connect(const Target& target) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) throw std::runtime_error(std::string("socket: ") + std::strerror(errno));
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(target.port);
    if (::inet_pton(AF_INET, target.address.c_str(), &address.sin_addr) != 1)
        throw std::runtime_error("not an IPv4 address: " + target.address);
    // Why it fails is read when the socket is ready.
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) errno = 0;
    return fd;
}

}  // namespace

tls::SslCtxPtr make_context() {
    tls::SslCtxPtr context(::SSL_CTX_new(::TLS_client_method()));
    if (!context) throw std::runtime_error("SSL_CTX_new");
    ::SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
    ::SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    return context;
}

TlsClient::TlsClient(SSL_CTX* context, Target target)
    : target_(std::move(target)), socket_(start_to_connect(target_)), ssl_(::SSL_new(context)), events_(EPOLLOUT) {
    if (!ssl_) throw std::runtime_error("SSL_new");
    ::SSL_set_fd(ssl_.get(), socket_.get());
    ::SSL_set_tlsext_host_name(ssl_.get(), target_.name.c_str());
    request_ = "GET " + target_.path + " HTTP/1.1\r\nHost: " + target_.name + "\r\n" +
               (target_.keep ? "\r\n" : "Connection: close\r\n\r\n");
}

TlsClient::State TlsClient::fail(std::string why) {
    error_ = std::move(why);
    return State::failed;
}

TlsClient::State TlsClient::wait_for(int ssl_result) {
    switch (::SSL_get_error(ssl_.get(), ssl_result)) {
        case SSL_ERROR_WANT_READ:
            events_ = EPOLLIN;
            return State::going;
        case SSL_ERROR_WANT_WRITE:
            events_ = EPOLLOUT;
            return State::going;
        default:
            return fail(ssl_error_text(phase_ == Phase::handshake ? "handshake" : "connection"));
    }
}

bool TlsClient::connected() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) error_ = std::string("connect: ") + std::strerror(error);
    return error == 0;
}

bool TlsClient::check_handshake() {
    X509* certificate = ::SSL_get0_peer_certificate(ssl_.get());
    if (::SSL_session_reused(ssl_.get()) == 1) error_ = "the handshake was not a full one";
    else if (!certificate || ::X509_check_host(certificate, target_.name.c_str(), target_.name.size(), 0, nullptr) != 1)
        error_ = "the certificate is for another name";
    return error_.empty();
}

bool TlsClient::answered() const {
    // All answers that are kept waiting for are small, and have a Content-Length.
    const auto head = answer_.find("\r\n\r\n");
    if (head == answer_.npos) return false;
    for (const char* name : {"Content-Length: ", "content-length: "}) {
        const auto at = answer_.find(name);
        if (at < head) return answer_.size() >= head + 4 + std::stoul(answer_.substr(at + std::strlen(name)));
    }
    return false;
}

TlsClient::State TlsClient::read_answer() {
    std::array<char, 4096> buffer;
    for (;;) {
        errno = 0;
        const int got = ::SSL_read(ssl_.get(), buffer.data(), buffer.size());
        if (got > 0) {
            answer_.append(buffer.data(), static_cast<std::size_t>(got));
            if (target_.keep && answered()) return State::open;
            continue;
        }
        const int error = ::SSL_get_error(ssl_.get(), got);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return wait_for(got);
        // The end. Not every proxy says goodbye in TLS; whether all had come is what counts.
        ::ERR_clear_error();
        if (phase_ == Phase::draining) return State::done;
        if (!answer_.starts_with("HTTP/1.1 200")) return fail("answered: " + answer_.substr(0, answer_.find('\r')));
        return answered() ? State::done : fail("the answer was cut");
    }
}

TlsClient::State TlsClient::advance() {
    ::ERR_clear_error();
    errno = 0;
    if (phase_ == Phase::connecting) {
        if (!connected()) return State::failed;
        phase_ = Phase::handshake;
    }
    if (phase_ == Phase::handshake) {
        const int result = ::SSL_connect(ssl_.get());
        if (result != 1) return wait_for(result);
        if (!check_handshake()) return State::failed;
        phase_ = target_.path.empty() ? Phase::draining : Phase::asking;
        if (phase_ == Phase::draining) ::SSL_shutdown(ssl_.get());
    }
    if (phase_ == Phase::asking) {
        const int result = ::SSL_write(ssl_.get(), request_.data(), static_cast<int>(request_.size()));
        if (result <= 0) return wait_for(result);
        phase_ = Phase::reading;
    }
    events_ = EPOLLIN;
    return read_answer();
}

}  // namespace sallyport::bench
