#include "gateway/tls/leaf_cache.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "gateway/base/endpoint.hpp"
#include "gateway/tls/certificate_parts.hpp"

using namespace sallyport;
using tls::Authority;
using tls::LeafCache;

namespace {

constexpr std::time_t kDay = 24 * 60 * 60;

using StorePtr = std::unique_ptr<X509_STORE, tls::OpensslFree<X509_STORE_free>>;
using StoreCtxPtr = std::unique_ptr<X509_STORE_CTX, tls::OpensslFree<X509_STORE_CTX_free>>;

/// Verifies as the strictest clients do (RFC 5280 to the letter: Python 3.13, Go). X509_V_OK or the error.
int verify(const Authority& authority, X509* leaf, const std::string& host, std::time_t at = std::time(nullptr)) {
    const StorePtr store(X509_STORE_new());
    X509_STORE_add_cert(store.get(), authority.certificate());
    const StoreCtxPtr context(X509_STORE_CTX_new());
    X509_STORE_CTX_init(context.get(), store.get(), leaf, nullptr);
    X509_VERIFY_PARAM* const param = X509_STORE_CTX_get0_param(context.get());
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_time(param, at);
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (IpAddress::parse(host)) X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str());
    else X509_VERIFY_PARAM_set1_host(param, host.data(), host.size());
    return X509_verify_cert(context.get()) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context.get());
}

std::vector<std::string> dns_names(X509* certificate) {
    const tls::GeneralNamesPtr names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    std::vector<std::string> texts;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type == GEN_DNS)
            texts.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                               static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    }
    return texts;
}

bool name_is_critical(X509* certificate) {
    return X509_EXTENSION_get_critical(
               X509_get_ext(certificate, X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1))) == 1;
}

}  // namespace

TEST_CASE("leaf: strict clients accept it for its name and for no other") {
    const auto authority = Authority::ephemeral();
    LeafCache cache(authority);
    for (const std::string host :
         {"api.example", "a", "under_score.example", "xn--bcher-kva.example", "192.0.2.7", "2001:db8::7"}) {
        CAPTURE(host);
        const auto leaf = cache.get(host);
        REQUIRE(leaf.has_value());
        CHECK(verify(authority, leaf->certificate.get(), host) == X509_V_OK);
        CHECK(verify(authority, leaf->certificate.get(), "other.example") == X509_V_ERR_HOSTNAME_MISMATCH);
        CHECK(verify(authority, leaf->certificate.get(), "sub." + host) == X509_V_ERR_HOSTNAME_MISMATCH);
        CHECK(verify(authority, leaf->certificate.get(), "192.0.2.8") == X509_V_ERR_IP_ADDRESS_MISMATCH);
        CHECK(X509_check_private_key(leaf->certificate.get(), leaf->key.get()) == 1);
        CHECK(X509_get_extended_key_usage(leaf->certificate.get()) == XKU_SSL_SERVER);
        CHECK(X509_check_ca(leaf->certificate.get()) == 0);
        CHECK_FALSE(name_is_critical(leaf->certificate.get()));
    }
    const auto stranger = Authority::ephemeral();
    CHECK(verify(stranger, cache.get("api.example")->certificate.get(), "api.example") != X509_V_OK);
}

TEST_CASE("leaf: the issuer's key identifier is copied, not computed") {
    const auto authority = Authority::ephemeral();
    LeafCache cache(authority);
    const auto leaf = cache.get("api.example");
    const auto* issuer = X509_get0_authority_key_id(leaf->certificate.get());
    REQUIRE(issuer != nullptr);
    CHECK(ASN1_OCTET_STRING_cmp(issuer, X509_get0_subject_key_id(authority.certificate())) == 0);
}

TEST_CASE("leaf: a name too long for the subject stands in a critical alternative name alone") {
    const auto authority = Authority::ephemeral();
    LeafCache cache(authority);
    const auto fits = fmt::format("{:a<30}.{:b<32}", "", "");
    const std::string too_long = fits + "c";
    REQUIRE(fits.size() == 63);
    const auto short_leaf = cache.get(fits);
    CHECK(X509_NAME_entry_count(X509_get_subject_name(short_leaf->certificate.get())) == 1);
    const auto leaf = cache.get(too_long);
    REQUIRE(leaf.has_value());
    CHECK(X509_NAME_entry_count(X509_get_subject_name(leaf->certificate.get())) == 0);
    CHECK(name_is_critical(leaf->certificate.get()));
    CHECK(verify(authority, leaf->certificate.get(), too_long) == X509_V_OK);
    const std::string longest = fmt::format("{:a<63}.{:b<63}.{:c<63}.{:d<61}", "", "", "", "");
    CHECK(verify(authority, cache.get(longest)->certificate.get(), longest) == X509_V_OK);
    CHECK_FALSE(cache.get(longest + "d").has_value());
}

TEST_CASE("leaf: text that is no host name never gets into a certificate") {
    const auto authority = Authority::ephemeral();
    LeafCache cache(authority);
    for (const std::string& host :
         {std::string(), std::string("*"), std::string("*.example.com"), std::string("a,DNS:evil.example"),
          std::string("a.example\0.evil.example", 23), std::string("A.example"), std::string("a..example"),
          std::string(".example"), std::string("a.example."), std::string("a b"), std::string("a/b"),
          std::string("a:b"),
          std::string("b\xc3\xbc"
                      "cher.example"),
          std::string("a\n"), fmt::format("{:a<64}.example", ""), std::string("[::1]"),
          std::string("otherName:1.2.3.4;UTF8:x")}) {
        CAPTURE(host);
        const auto leaf = cache.get(host);
        REQUIRE_FALSE(leaf.has_value());
        CHECK(leaf.error().kind == ErrorKind::malformed);
    }
    CHECK(cache.size() == 0);
    CHECK(dns_names(cache.get("a.example")->certificate.get()) == std::vector<std::string>{"a.example"});
}

TEST_CASE("leaf: it starts two days ago and lasts 199 days, never longer than the authority") {
    const std::time_t now = std::time(nullptr);
    const auto authority = Authority::ephemeral(now);
    const auto key = tls::make_p256_key();
    const auto leaf = authority.sign_leaf("api.example", key.get(), now);
    CHECK(tls::to_time(X509_get0_notBefore(leaf->get())) == now - 2 * kDay);
    CHECK(tls::to_time(X509_get0_notAfter(leaf->get())) == now + 197 * kDay);
    const auto late = authority.sign_leaf("api.example", key.get(), now + 700 * kDay);
    CHECK(tls::to_time(X509_get0_notAfter(late->get())) == authority.not_after());
    const auto too_late = authority.sign_leaf("api.example", key.get(), authority.not_after());
    REQUIRE_FALSE(too_late.has_value());
    CHECK(too_late.error().kind == ErrorKind::tls);
}

TEST_CASE("leaf cache: the same leaf again, a new one before it expires") {
    std::time_t now = std::time(nullptr);
    const auto authority = Authority::ephemeral(now);
    LeafCache cache(authority, 1024, [&now] { return now; });
    const auto first = cache.get("api.example");
    now += 195 * kDay;
    CHECK(cache.get("api.example")->certificate == first->certificate);
    now += kDay + 1;
    const auto renewed = cache.get("api.example");
    CHECK(renewed->certificate != first->certificate);
    CHECK(tls::to_time(X509_get0_notAfter(renewed->certificate.get())) > now + 100 * kDay);
    CHECK(cache.size() == 1);
}

TEST_CASE("leaf cache: a clock that jumps, either way, never gets a leaf that does not hold at that time") {
    const std::time_t begin = std::time(nullptr);
    std::time_t now = begin;
    const auto authority = Authority::ephemeral(now);
    LeafCache cache(authority, 1024, [&now] { return now; });
    for (const auto jump : {0L, 100L, -1L, -30L, 300L, 250L, -90L, 700L, -700L}) {
        now = begin + jump * kDay;
        CAPTURE(jump);
        const auto leaf = cache.get("api.example");
        REQUIRE(leaf.has_value());
        CHECK(tls::to_time(X509_get0_notBefore(leaf->certificate.get())) <= now);
        CHECK(tls::to_time(X509_get0_notAfter(leaf->certificate.get())) > now);
        CHECK(verify(authority, leaf->certificate.get(), "api.example", now) == X509_V_OK);  // the authority too
    }
}

TEST_CASE("leaf cache: of names that nobody wants a flood gets few certificates, wanted ones get theirs") {
    std::time_t now = std::time(nullptr);
    const auto authority = Authority::ephemeral(now);
    LeafCache cache(authority, 1024, [&now] { return now; });
    int number = 0;
    const auto minted = [&](int names) {
        int made = 0;
        for (int i = 0; i < names; ++i)
            made += cache.get("n" + std::to_string(number++) + ".example", false).has_value();
        return made;
    };
    CHECK(minted(1000) == LeafCache::kUnwantedAtOnce);
    CHECK(cache.get("n1.example", false).has_value());  // was made before
    CHECK(cache.get("wanted.example", true).has_value());
    CHECK(cache.get("late.example", false).error().kind == ErrorKind::too_large);
    ++now;
    CHECK(minted(1000) == LeafCache::kUnwantedPerSecond);
    now -= 1000;
    CHECK(minted(10) == 0);  // a clock that was set back gives nothing, and takes nothing for long
    ++now;
    CHECK(minted(1000) == LeafCache::kUnwantedPerSecond);
    now += 1000;
    CHECK(minted(1000) == LeafCache::kUnwantedAtOnce);
}

TEST_CASE("leaf cache: serials differ, the key is the same") {
    const auto authority = Authority::ephemeral();
    LeafCache cache(authority);
    const auto a = cache.get("a.example"), b = cache.get("b.example");
    CHECK(ASN1_INTEGER_cmp(X509_get0_serialNumber(a->certificate.get()),
                           X509_get0_serialNumber(b->certificate.get())) != 0);
    CHECK(a->key == b->key);
}

TEST_CASE("leaf cache: what was not asked for the longest goes first") {
    const auto authority = Authority::ephemeral();
    LeafCache cache(authority, 3);
    const auto a = cache.get("a.example"), b = cache.get("b.example");
    cache.get("c.example");
    cache.get("a.example");
    cache.get("d.example");
    CHECK(cache.size() == 3);
    CHECK(cache.get("a.example")->certificate == a->certificate);
    CHECK(cache.get("b.example")->certificate != b->certificate);
}

TEST_CASE("leaf cache: threads that ask for one name at once get one leaf") {
    const auto authority = Authority::ephemeral();
    LeafCache cache(authority, 64);
    constexpr int kThreads = 8, kNames = 200;
    std::vector<std::vector<std::shared_ptr<X509>>> seen(kThreads);
    {
        std::vector<std::jthread> threads;
        for (auto& mine : seen)
            threads.emplace_back([&cache, &mine] {
                for (int i = 0; i < kNames; ++i)
                    mine.push_back(cache.get("host" + std::to_string(i % 32) + ".example")->certificate);
            });
    }
    for (const auto& mine : seen) CHECK(mine == seen.front());
    CHECK(cache.size() == 32);
}

TEST_CASE("leaf cache: a mint is short enough to hold a lock for") {
    const auto authority = Authority::ephemeral();
    LeafCache cache(authority);
    constexpr int kMints = 200;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kMints; ++i) REQUIRE(cache.get("m" + std::to_string(i) + ".example").has_value());
    const auto each = (std::chrono::steady_clock::now() - start) / kMints;
    MESSAGE("one mint: " << std::chrono::duration_cast<std::chrono::microseconds>(each).count() << " us");
    CHECK(each < std::chrono::milliseconds(20));  // generous: sanitizers, busy machines
}
