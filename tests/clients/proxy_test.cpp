// Clients that are told to use the explicit proxy, each in its own way.

#include <doctest/doctest.h>

#include <string>

#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

const nlohmann::json kAtProxy{{"original_dst", "127.0.0.1:15080"}};
const nlohmann::json kAtProxy6{{"original_dst", "[::1]:15080"}};

std::string policy(const StandIn& origin) {
    return "[[allow]]\nhost = \"api.example.test\"\npath = \"/echo/**\"\n" + origin.route("api.example.test");
}

struct Client {
    std::string what, program;
    std::string script;  ///< requests /echo and then /refused, prints statuses and bodies
};

// clang-format off
const Client kClients[] = {
    {"curl, CONNECT", "curl",
     "for path in echo/x refused; do curl -sS -w ' %{http_code} ' -x 127.0.0.1:15080 https://api.example.test/$path; done"},
    {"curl, CONNECT over IPv6, TLS 1.2", "curl",
     "for path in echo/x refused; do "
     "curl -sS -g -w ' %{http_code} ' --tls-max 1.2 -x 'http://[::1]:15080' https://api.example.test/$path; done"},
    {"curl, absolute-form, one connection", "curl",
     "http_proxy=http://127.0.0.1:15080 curl -sS -w ' %{http_code} ' 'http://api.example.test/{echo/x,refused}'"},
    {"curl, HTTP/1.0 and a password for the proxy", "curl",
     "for path in echo/x refused; do "
     "curl -sS -w ' %{http_code} ' --proxy1.0 u:p@127.0.0.1:15080 -p http://api.example.test/$path; done"},
    {"Python urllib", "/usr/bin/python3", R"(https_proxy=http://127.0.0.1:15080 /usr/bin/python3 -c '
import urllib.request, urllib.error
for path in ("echo/python", "refused"):
    try:
        r = urllib.request.urlopen("https://api.example.test/" + path)
    except urllib.error.HTTPError as error:
        r = error
    print(r.status, r.read().decode())')"},
    {"wget", "wget", R"(for path in echo/wget refused; do
        https_proxy=http://127.0.0.1:15080 wget -qSO- --content-on-error https://api.example.test/$path 2>&1
    done; true)"},
    {"Node, CONNECT by hand", "node", R"(node -e '
        const get = (path, next) => require("http").request({
            host: "127.0.0.1", port: 15080, method: "CONNECT", path: "api.example.test:443"
        }).on("connect", (_, socket) => require("https").get("https://api.example.test/" + path, {
            defaultPort: 443, createConnection: () => require("tls").connect({ socket, servername: "api.example.test" })
        }, r => {
            let body = "";
            r.on("data", d => body += d).on("end", () => { console.log(r.statusCode, body); next(); });
        })).end();
        get("echo/node", () => get("refused", () => process.exit()))')"},
    {"Java", "java", R"(cat >Get.java <<'END'
import java.net.*;
class Get {
    public static void main(String[] args) throws Exception {
        for (String path : new String[] {"echo/java", "refused"}) {
            var c = (HttpURLConnection) new URL("https://api.example.test/" + path).openConnection();
            var in = c.getResponseCode() < 400 ? c.getInputStream() : c.getErrorStream();
            System.out.println(c.getResponseCode() + " " + new String(in.readAllBytes()));
        }
    }
}
END
java -XX:TieredStopAtLevel=1 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=15080 Get.java)"},
};
// clang-format on

}  // namespace

TEST_CASE("proxy: each client reaches through it what is allowed, and reads why the rest is not") {
    const StandIn origin;
    for (const auto& client : kClients) {
        CAPTURE(client.what);
        if (!has_program(client.program)) {
            if (client.program == "java")  // scripts/setup does not install it
                MESSAGE("skipped: ", client.what, " is not installed");
            else skip(client.what + " is not installed");
            continue;
        }
        for (const auto user : sandbox_users()) {
            const Sandbox sandbox(user, policy(origin), &origin);
            const auto before = origin.requests().size();
            const auto ran = sandbox.run(client.script);
            CAPTURE(ran.shown());
            CHECK(ran.exited_with(0));
            CHECK(ran.says("200"));
            CHECK(ran.says("\"path\": \"/echo/"));
            CHECK(ran.says("403"));
            CHECK(ran.says("no rule allows GET /refused on api.example.test:"));
            const auto requests = origin.requests();
            REQUIRE(requests.size() == before + 1);
            CHECK(requests.back().dump().find("proxy-") == std::string::npos);
            CHECK(sandbox.audited({{"decision", "allow"}, {"host", "api.example.test"}}) == 1);
            CHECK(sandbox.audited({{"decision", "deny"}, {"path", "/refused"}, {"status", 403}}) == 1);
            CHECK(sandbox.audited(kAtProxy) + sandbox.audited(kAtProxy6) == 2);
        }
    }
}

TEST_CASE("proxy: git with http.proxy; what CONNECT itself is refused says so too") {
    const StandIn origin;
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, policy(origin), &origin, {"GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1"});
        const auto ran = sandbox.run(
            "git -c http.proxy=http://127.0.0.1:15080 ls-remote https://api.example.test/git/project.git; "
            "curl -sS -v -x 127.0.0.1:15080 https://api.example.test:8443/; "
            "curl -sS 127.0.0.1:15080");
        CAPTURE(ran.shown());
        CHECK(ran.complains("no rule allows GET /git/project.git/info/refs"));
        CHECK(ran.complains("403"));
        CHECK(ran.says("this port is a proxy"));
        CHECK(origin.requests().empty());
        CHECK(sandbox.audited({{"method", "CONNECT"}, {"host", "api.example.test"}, {"port", 8443}, {"status", 403}}) ==
              1);
        CHECK(sandbox.audited(kAtProxy) == 3);
    }
}

TEST_CASE("proxy: npm installs a package through it") {
    const auto registry = run_program({"npm", "config", "get", "registry"}).out;
    const auto reachable =
        run_program({"curl", "-sS", "-o", "/dev/null", "-m", "20", registry.substr(0, registry.find('\n'))});
    if (!reachable.exited_with(0)) return skip("no package network: " + reachable.err);
    for (const auto user : sandbox_users()) {
        const Sandbox sandbox(user, "use = [\"npm-install\"]\n");
        const auto ran = sandbox.run(
            "HTTPS_PROXY=http://127.0.0.1:15080 npm install --no-update-notifier is-odd@3.0.1 && "
            "node -p 'require(\"is-odd\")(3)'");
        CAPTURE(ran.shown());
        CHECK(ran.exited_with(0));
        CHECK(ran.out.ends_with("true\n"));
        CHECK(sandbox.audited({{"decision", "allow"}, {"original_dst", "127.0.0.1:15080"}}) >= 2);
        CHECK(sandbox.audited(kAtProxy) == sandbox.audit().size());
    }
}
