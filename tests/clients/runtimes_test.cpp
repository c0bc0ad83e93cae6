// HTTP clients with TLS and trust stores of their own: none of them is told anything but a URL.

#include <doctest/doctest.h>

#include <string>

#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

std::string policy(const StandIn& origin) {
    return "[[allow]]\nhost = \"api.example.test\"\npath = [\"/echo/**\", \"/slow\", \"/gzip\"]\n" +
           origin.route("api.example.test");
}

struct Client {
    std::string what;
    std::string program;
    std::string
        script;  ///< requests /echo, prints what comes; then /refused, and prints the status and some of the body
};

// clang-format off
const Client kClients[] = {
    {"Node fetch", "node", R"(node -e '
        (async () => {
            for (const path of ["echo/node", "refused"]) {
                const r = await fetch("https://api.example.test/" + path);
                console.log(r.status, await r.text());
            }
        })()')"},
    {"Node https.request", "node", R"(node -e '
        const agent = new (require("https").Agent)({ keepAlive: true });
        const get = (path, next) => require("https").get("https://api.example.test/" + path, { agent }, r => {
            let body = "";
            r.on("data", d => body += d).on("end", () => { console.log(r.statusCode, body); next(); });
        });
        get("echo/node", () => get("refused", () => agent.destroy()))')"},
    {"Python urllib", "/usr/bin/python3", R"(/usr/bin/python3 -c '
import urllib.request, urllib.error
for path in ("echo/python", "refused"):
    try:
        r = urllib.request.urlopen("https://api.example.test/" + path)
    except urllib.error.HTTPError as error:
        r = error
    print(r.status, r.read().decode())')"},
    {"Python http.client, kept alive", "/usr/bin/python3", R"(/usr/bin/python3 -c '
import http.client
c = http.client.HTTPSConnection("api.example.test")
for path in ("/echo/python", "/refused"):
    c.request("GET", path)
    r = c.getresponse()
    print(r.status, r.read().decode())')"},
    {"wget", "wget", R"(for path in echo/wget refused; do
        wget -qSO- --content-on-error https://api.example.test/$path 2>&1
    done)"},
    {"Perl HTTP::Tiny", "perl", R"(perl -MIO::Socket::SSL -MHTTP::Tiny -e '
        for ("echo/perl", "refused") {
            my $r = HTTP::Tiny->new(verify_SSL => 1)->get("https://api.example.test/$_");
            print "$r->{status} $r->{content}\n"
        }')"},
    {"Java HttpClient", "java", R"(cat >Get.java <<'END'
import java.net.*;
import java.net.http.*;
class Get {
    public static void main(String[] args) throws Exception {
        for (String path : new String[] {"echo/java", "refused"}) {
            var request = HttpRequest.newBuilder(URI.create("https://api.example.test/" + path)).build();
            var r = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(r.statusCode() + " " + r.body());
        }
        var old = (HttpURLConnection) new URL("https://api.example.test/echo/java").openConnection();
        System.out.println(old.getResponseCode());
    }
}
END
java -XX:TieredStopAtLevel=1 Get.java)"},
};
// clang-format on

bool is_optional(const Client& client) {
    return client.program == "java" || client.program == "perl";  // scripts/setup does not install them
}

bool is_here(const Client& client) {
    if (client.program == "perl")
        return run_program({"perl", "-MIO::Socket::SSL", "-MHTTP::Tiny", "-e", "1"}).exited_with(0);
    return has_program(client.program);
}

}  // namespace

TEST_CASE("runtimes: each one reaches what is allowed, and reads why the rest is not") {
    const StandIn origin;
    for (const auto& client : kClients) {
        CAPTURE(client.what);
        if (!is_here(client)) {
            if (is_optional(client)) MESSAGE("skipped: ", client.what, " is not installed");
            else skip(client.what + " is not installed");
            continue;
        }
        for (const auto user : sandbox_users()) {
            const Sandbox sandbox(user, policy(origin), &origin);
            const auto before = origin.requests().size();
            const auto ran = sandbox.run(client.script);
            CAPTURE(ran.shown());
            CHECK(ran.exited_with(0) != (client.program == "wget"));  // wget's status is that of the refusal
            CHECK(ran.says("200"));
            CHECK(ran.says("\"path\": \"/echo/"));
            CHECK(ran.says("403"));
            CHECK(ran.says("no rule allows GET /refused on api.example.test:443"));
            const auto requests = origin.requests();
            CHECK(requests.size() > before);
            for (const auto& request : requests) CHECK(request["path"] != "/refused");
            CHECK(sandbox.audited({{"decision", "deny"}}) ==
                  sandbox.audited({{"decision", "deny"}, {"path", "/refused"}, {"status", 403}}));
            CHECK(sandbox.audited({{"decision", "deny"}}) >= 1);
        }
    }
}

TEST_CASE("runtimes: openssl verifies the gateway's certificate with the default store, TLS 1.2 and 1.3") {
    const StandIn origin;
    for (const auto user : sandbox_users())
        for (const std::string version : {"-tls1_2", "-tls1_3"}) {
            const Sandbox sandbox(user, policy(origin), &origin);
            // The response ends the connection; until then s_client keeps its standard input open.
            const auto ran = sandbox.run(
                "(printf 'GET /echo/openssl HTTP/1.1\\r\\nHost: api.example.test\\r\\nConnection: close\\r\\n\\r\\n'; "
                "exec sleep 5) | "
                "(env -u SSL_CERT_FILE openssl s_client -connect api.example.test:443 -servername api.example.test "
                "-verify_return_error -verify_hostname api.example.test -ign_eof " +
                version + "; kill 0) 2>&1");
            CAPTURE(ran.shown());
            CHECK(ran.says("Verify return code: 0 (ok)"));
            CHECK(ran.says("subject=CN = api.example.test"));
            CHECK(ran.says(version == "-tls1_2" ? "TLSv1.2, Cipher" : "TLSv1.3, Cipher"));
            CHECK(ran.says("\"path\": \"/echo/openssl\""));
            CHECK(sandbox.audited({{"decision", "allow"}, {"path", "/echo/openssl"}}) == 1);

            const auto old = sandbox.run("openssl s_client -connect api.example.test:443 -tls1_1 </dev/null 2>&1");
            CHECK_FALSE(old.says("Verify return code: 0 (ok)\n---\nread"));
        }
}
