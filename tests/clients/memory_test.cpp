// Where secrets stand in memory while `sallyport run` serves real requests, and who can look there.

#include <doctest/doctest.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "gateway/tls/openssl_handles.hpp"
#include "tests/support/http2_origin.hpp"
#include "tests/support/process_memory.hpp"
#include "tests/support/sandbox.hpp"
#include "tests/support/transfer_origin.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

std::string policy(const StandIn& http1, const StandIn& http2) {
    return "[[allow]]\nhost = [\"one.example.test\", \"two.example.test\"]\n[[secret]]\nname = \"api-key\"\n"
           "host = [\"one.example.test\", \"two.example.test\"]\nheader = \"x-api-key\"\n"
           "placeholder = \"sk-placeholder-0000\"\nvalue = { env = \"API_KEY\" }\n" +
           http1.route("one.example.test") + http2.route("two.example.test");
}

/// Both origins, over both versions of HTTP; then it waits.
constexpr const char* kRequests =
    "for i in 1 2 3 4 5; do for v in --http1.1 --http2; do for h in one two; do curl -sS $v -H \"x-api-key: $API_KEY\" "
    "-d \"body $i\" https://$h.example.test/echo >/dev/null || exit 1; done; done; done; echo ready; exec sleep 1000";

/// The private number of the CA's key, as OpenSSL keeps it: 64-bit words, the lowest first.
std::string key_number(const std::filesystem::path& file) {
    const tls::BioPtr text(BIO_new_file(file.c_str(), "r"));
    const tls::PkeyPtr key(text ? PEM_read_bio_PrivateKey(text.get(), nullptr, nullptr, nullptr) : nullptr);
    BIGNUM* number = nullptr;
    if (!key || EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_PRIV_KEY, &number) != 1)
        throw std::runtime_error("no key in " + file.string());
    const tls::BignumPtr owned(number);
    std::string bytes(32, '\0');
    BN_bn2lebinpad(number, reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    return bytes;
}

std::string reversed(std::string bytes) {
    std::reverse(bytes.begin(), bytes.end());
    return bytes;
}

std::string read(const std::string& file) {
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

void check_kept(pid_t gateway, const std::string& bytes) {
    const auto copies = copies_in(gateway, bytes);
    CHECK(copies.size() > 0);  // else we did not find what we looked for
    for (const auto& copy : copies) {
        CHECK_MESSAGE(copy.locked, copy.where);
        CHECK_MESSAGE(!copy.dumped, copy.where);
    }
}

}  // namespace

TEST_CASE("memory: after requests a secret and the CA's key stand in locked pages only, that no dump would have") {
    if (::geteuid() != 0) return skip("only root can read the gateway's memory");
    const StandIn http1;
    const Http2Origin http2;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(http1, http2), &http1, {std::string("API_KEY=") + StandIn::kKey});
        sandbox.write("origin-ca.pem", http1.ca_pem() + http2.ca_pem());
        const auto before = std::pair(http1.requests().size(), http2.requests().size());
        Program program(sandbox.command_line({"sh", "-c", kRequests}), sandbox.options);
        REQUIRE(program.first_line() == "ready");
        CHECK(http1.requests().size() == before.first + 10);
        CHECK(http2.requests().size() == before.second + 10);
        for (const auto& request : {http1.requests().back(), http2.requests().back()})
            CHECK(request["headers"]["x-api-key"] == StandIn::kKey);

        const std::filesystem::path state =
            user == User::ourselves ? "/var/lib/sallyport" : sandbox.directory() / ".local/share/sallyport";
        const auto key = key_number(state / "authority.pem");
        check_kept(program.pid(), StandIn::kKey);
        check_kept(program.pid(), key);
        CHECK(copies_in(program.pid(), reversed(key)).empty());  // as files have it
        // The first process of the sandbox was a copy of the gateway.
        const auto children = children_of(program.pid());
        REQUIRE(children.size() == 1);
        for (const auto& bytes : {std::string(StandIn::kKey), key, reversed(key)})
            CHECK(copies_in(children[0], bytes).empty());
    }
}

TEST_CASE("memory: likewise when the secret came back compressed, and was taken out") {
    if (::geteuid() != 0) return skip("only root can read the gateway's memory");
    const TransferOrigin origin;
    const std::string requests =
        "for v in --http1.1 --http2; do for c in gzip deflate br zstd; do curl -sS $v --compressed "
        "https://one.example.test/coded/$c || exit 1; done; done >got; grep -c $API_KEY got; exec sleep 1000";
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(
            user,
            "[[allow]]\nhost = \"one.example.test\"\n[[secret]]\nname = \"api-key\"\nhost = \"one.example.test\"\n"
            "header = \"x-api-key\"\nplaceholder = \"sk-placeholder-0000\"\nvalue = { env = \"API_KEY\" }\n" +
                origin.route("one.example.test", Speaks::https1),
            &origin, {std::string("API_KEY=") + StandIn::kKey});
        Program program(sandbox.command_line({"sh", "-c", requests}), sandbox.options);
        CHECK(std::stoi(program.first_line()) >= 2 * 3 * 20);  // zstd where this Node has it
        check_kept(program.pid(), StandIn::kKey);
    }
}

TEST_CASE("memory: no core, and nobody but root looks into the gateway, not even its own user") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin, origin), &origin, {std::string("API_KEY=") + StandIn::kKey});
        Program program(sandbox.command_line({"sh", "-c", "echo ready; exec sleep 1000"}), sandbox.options);
        REQUIRE(program.first_line() == "ready");
        const auto process = "/proc/" + std::to_string(program.pid());
        const auto limits = read(process + "/limits");
        CHECK(limits.find("Max core file size        0                    0 ") != std::string::npos);
        CHECK(read(process + "/cmdline").find(StandIn::kKey) == std::string::npos);
        CHECK(read(process + "/environ").find(StandIn::kKey) == std::string::npos);  // root sees it wiped

        const bool as_it = ::geteuid() == 0;  // otherwise we are that user already
        const std::string number = user == User::nobody ? "65534" : "65532";
        std::vector<std::string> look;
        if (as_it) look = {"setpriv", "--reuid=" + number, "--regid=" + number, "--clear-groups", "--"};
        look.insert(
            look.end(),
            {"sh", "-c",
             "cd /proc/$0 || exit; for f in environ mem maps smaps stack auxv fd/0 root/etc/passwd "
             "cwd/. exe map_files/x; do (exec <$f) 2>/dev/null && echo BAD $f; done; ls fd 2>/dev/null; echo end",
             std::to_string(program.pid())});
        const auto seen = run_program(look);
        CHECK_MESSAGE(seen.out == "end\n", seen.shown());
    }
}
