#include "gateway/tls/client_context.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "gateway/base/endpoint.hpp"
#include "gateway/base/startup_error.hpp"
#include "gateway/tls/certificate_parts.hpp"
#include "gateway/tls/server_context.hpp"

namespace sallyport::tls {
namespace {

constexpr std::size_t kMaxSessions = 512;
constexpr std::size_t kMaxStores = 64;
constexpr std::chrono::hours kSessionLife{1};  // a certificate revoked or replaced is looked at again by then
constexpr int kMaxNamesShown = 3;

struct Origin {
    std::string host;
    std::string session_key;
    std::shared_ptr<const OriginOptions> options;  // may be null
    ClientContext::Clock::time_point verified;     // when its certificate was
    std::string failure;
    bool asked = false;  // the origin wants to see a certificate
};

/// What an alert means, where it is about what [[origin]] says.
std::string describe_alert(const Origin& origin, bool received, int alert) {
    const auto* options = origin.options.get();
    if (alert == SSL_AD_PROTOCOL_VERSION && options && options->only_tls13)
        return fmt::format("speaks no TLS 1.3, which the [[origin]] at {} asks for", options->where);
    if (!received || !origin.asked) return {};
    if (!options || !options->files->identity)
        return "asks for a client certificate: [[origin]] with client_certificate and client_key gives it one";
    return fmt::format("refused the client certificate of the [[origin]] at {} ({})", options->where,
                       SSL_alert_desc_string_long(alert));
}

std::string plain(std::string_view text) {
    std::string result;
    for (const char c : text.substr(0, 100)) {
        const bool harmless = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                              std::string_view(".-_*:").find(c) != std::string_view::npos;
        result += harmless ? c : '?';
    }
    return result;
}

std::string text_of(const GENERAL_NAME* name) {
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(name, &type));
    if (type != GEN_DNS && type != GEN_IPADD) return {};
    const unsigned char* bytes = ASN1_STRING_get0_data(value);
    const auto size = static_cast<std::size_t>(ASN1_STRING_length(value));
    if (type == GEN_DNS) return plain({reinterpret_cast<const char*>(bytes), size});
    if (size == 4) return IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]}).to_string();
    if (size != 16) return {};
    std::array<std::uint8_t, 16> address{};
    std::copy_n(bytes, address.size(), address.begin());
    return IpAddress::v6(address).to_string();
}

/// "a.example, b.example and 7 more", or empty.
std::string names_in(X509* certificate) {
    const GeneralNamesPtr names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    const int count = names ? sk_GENERAL_NAME_num(names.get()) : 0;
    std::string text;
    for (int i = 0; i < count && i < kMaxNamesShown; ++i) {
        const std::string name = text_of(sk_GENERAL_NAME_value(names.get(), i));
        if (!name.empty()) text += (text.empty() ? "" : ", ") + name;
    }
    if (count > kMaxNamesShown) text += fmt::format(" and {} more", count - kMaxNamesShown);
    return text;
}

std::string describe_failure(X509_STORE_CTX* store, const std::string& host) {
    X509* const certificate = X509_STORE_CTX_get_current_cert(store);
    const int error = X509_STORE_CTX_get_error(store);
    const bool is_leaf = X509_STORE_CTX_get_error_depth(store) == 0;
    if (certificate && (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)) {
        const std::string names = names_in(certificate);
        return fmt::format("certificate is for {}, not {}", names.empty() ? "no host" : names, host);
    }
    if (certificate && error == X509_V_ERR_CERT_HAS_EXPIRED)
        return fmt::format("{} has expired ({:%Y-%m-%d})", is_leaf ? "certificate" : "an issuer's certificate",
                           fmt::gmtime(to_time(X509_get0_notAfter(certificate))));
    if (error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE)
        return "certificate is not signed by a trusted authority (or an intermediate certificate is missing)";
    return fmt::format("certificate: {}", X509_verify_cert_error_string(error));
}

/// OpenSSL does not say when it finds no store at all, and then refuses every origin for an obscure reason.
bool system_store_exists() {
    const auto setting = [](const char* variable, const char* otherwise) {
        const char* value = secure_getenv(variable);
        return std::filesystem::path(value && *value ? value : otherwise);
    };
    std::error_code ec;
    const auto file = setting(X509_get_default_cert_file_env(), X509_get_default_cert_file());
    const auto folder = setting(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
    if (const auto size = std::filesystem::file_size(file, ec); !ec && size > 0) return true;
    const std::filesystem::directory_iterator entries(folder, ec);
    return !ec && entries != std::filesystem::directory_iterator();
}

bool expect_peer(SSL* ssl, const std::string& host) {
    X509_VERIFY_PARAM* const param = SSL_get0_param(ssl);
    if (const auto address = IpAddress::parse(host)) {
        const auto size = static_cast<std::size_t>(address->bit_length() / 8);
        return X509_VERIFY_PARAM_set1_ip(param, address->bytes().data(), size) == 1;
    }
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return X509_VERIFY_PARAM_set1_host(param, host.data(), host.size()) == 1 &&
           SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

}  // namespace

ClientContext::ClientContext(std::string_view trusted_pem, bool beside_system,
                             const std::vector<std::string>& protocols, Now now)
    : trusted_pem_(trusted_pem),
      trusts_system_(beside_system || trusted_pem.empty()),
      now_(std::move(now)),
      context_(SSL_CTX_new(TLS_client_method())),
      sessions_(kMaxSessions),
      stores_(kMaxStores) {
    SSL_CTX* const context = context_.get();
    const std::string wire = alpn_wire_format(protocols);
    // Groups and ciphers stay the library's: its newer versions bring post-quantum key exchange along.
    const bool made = context && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                      SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(wire.data()),
                                              static_cast<unsigned>(wire.size())) == 0;
    if (!made) throw StartupError("cannot set up TLS for origins: " + openssl_error());
    SSL_CTX_set_cert_store(context, make_store().release());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, verified_so_far);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_app_data(context, this);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    SSL_CTX_set_info_callback(context, note_alert);
    SSL_CTX_set_cert_cb(context, note_asked, nullptr);
}

/// Throws StartupError.
X509StorePtr ClientContext::make_store() const {
    X509StorePtr store(X509_STORE_new());
    // Where the system has a folder of them by name, each is read when it is asked for.
    if (trusts_system_ && (!store || X509_STORE_set_default_paths(store.get()) != 1))
        throw StartupError("cannot load the trusted authorities: " + openssl_error());
    if (trusted_pem_.empty()) {
        if (!system_store_exists())
            throw StartupError(
                "no certificates of trusted authorities found: install ca-certificates or set SSL_CERT_FILE");
        return store;
    }
    const BioPtr text(BIO_new_mem_buf(trusted_pem_.data(), static_cast<int>(trusted_pem_.size())));
    int count = 0;
    while (const X509Ptr certificate{text ? PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr) : nullptr})
        count += X509_STORE_add_cert(store.get(), certificate.get());
    openssl_error();  // the end of the text is an error to PEM_read_bio
    if (count == 0) throw StartupError("the given trust anchors hold no PEM certificate");
    return store;
}

/// Null when it cannot be made: the system's authorities are gone.
X509StorePtr ClientContext::store_for(const OriginOptions& options) const {
    const auto shared = [](const X509StorePtr& store) {
        X509_STORE_up_ref(store.get());
        return X509StorePtr(store.get());
    };
    const std::lock_guard lock(mutex_);
    if (const X509StorePtr* made = stores_.find(options.id)) return shared(*made);
    try {
        auto store = make_store();
        for (const auto& authority : options.files->authorities)
            if (X509_STORE_add_cert(store.get(), authority.get()) != 1) return nullptr;
        // An intermediate authority that is named is trusted as it is.
        X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
        return shared(stores_.put(options.id, std::move(store)));
    } catch (const StartupError&) {
        return nullptr;
    }
}

bool ClientContext::apply(SSL* ssl, const OriginOptions& options) const {
    if (options.only_tls13 && SSL_set_min_proto_version(ssl, TLS1_3_VERSION) != 1) return false;
    if (!options.files->authorities.empty()) {
        const auto store = store_for(options);
        if (!store || SSL_set1_verify_cert_store(ssl, store.get()) != 1) return false;
    }
    const auto& identity = options.files->identity;
    if (!identity) return true;
    if (SSL_use_certificate(ssl, identity->certificate.get()) != 1 || SSL_use_PrivateKey(ssl, identity->key.get()) != 1)
        return false;
    return std::all_of(identity->issuers.begin(), identity->issuers.end(),
                       [ssl](const X509Ptr& issuer) { return SSL_add1_chain_cert(ssl, issuer.get()) == 1; });
}

Result<SslPtr> ClientContext::make_ssl(const std::string& host, std::uint16_t port,
                                       std::shared_ptr<const OriginOptions> options) const {
    const std::string session_key = fmt::format("{}:{} {}", host, port, options ? options->id : "");
    const auto known = find_session(session_key);
    SslPtr ssl(SSL_new(context_.get()));
    const bool made =
        ssl && expect_peer(ssl.get(), host) && (!options || apply(ssl.get(), *options)) &&
        SslSlot<Origin>::set(ssl.get(),
                             std::make_unique<Origin>(Origin{host, session_key, options, known.verified, {}, false}));
    if (!made) return Error{ErrorKind::tls, "cannot set up TLS for " + host + ": " + openssl_error()};
    if (known.session) SSL_set_session(ssl.get(), known.session.get());
    SSL_set_connect_state(ssl.get());
    return ssl;
}

ClientContext::Session ClientContext::find_session(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const Session* kept = sessions_.find(key);
    if (!kept) return {};
    if (kept->verified + kSessionLife < now_()) {
        sessions_.erase(key);
        return {};
    }
    // A copy: OpenSSL writes to the session of a living connection, and connections belong to several threads.
    return {SessionPtr(SSL_SESSION_dup(kept->session.get())), kept->verified};
}

/// Each resumption brings a new session, whose certificate is still the one that was verified for the first.
int ClientContext::keep_session(SSL* ssl, SSL_SESSION* session) {
    const auto* self = static_cast<const ClientContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    const auto* origin = SslSlot<Origin>::get(ssl);
    SessionPtr copy(origin ? SSL_SESSION_dup(session) : nullptr);
    if (copy) {
        const std::lock_guard lock(self->mutex_);
        const auto verified = SSL_session_reused(ssl) ? origin->verified : self->now_();
        self->sessions_.put(origin->session_key, Session{std::move(copy), verified});
    }
    return 0;  // we keep no reference to `session` itself
}

int ClientContext::verified_so_far(int ok, X509_STORE_CTX* store) {
    const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    if (auto* origin = ok ? nullptr : SslSlot<Origin>::get(ssl))
        origin->failure = describe_failure(store, origin->host);
    return ok;
}

void ClientContext::note_alert(const SSL* ssl, int where, int alert) {
    auto* origin = where & SSL_CB_ALERT ? SslSlot<Origin>::get(ssl) : nullptr;
    if (origin && origin->failure.empty()) origin->failure = describe_alert(*origin, where & SSL_CB_READ, alert & 0xff);
}

int ClientContext::note_asked(SSL* ssl, void*) {
    if (auto* origin = SslSlot<Origin>::get(ssl)) origin->asked = true;
    return 1;
}

std::size_t ClientContext::sessions() const {
    const std::lock_guard lock(mutex_);
    return sessions_.size();
}

std::string verify_failure_text(const SSL* ssl) {
    const auto* origin = SslSlot<Origin>::get(ssl);
    return origin ? origin->failure : std::string();
}

}  // namespace sallyport::tls
