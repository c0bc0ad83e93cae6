// DNS as a way out: questions of every shape get an answer from the gateway alone. Judged by what its resolver asked
// outside, which is the one way on which a name can leave.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "gateway/wire/dns_message.hpp"
#include "tests/support/attempts.hpp"

using namespace sallyport;
using namespace sallyport::test;
using namespace std::string_literals;

namespace {

enum Type : std::uint16_t {
    a = 1,
    ns = 2,
    cname = 5,
    soa = 6,
    null = 10,
    ptr = 12,
    mx = 15,
    txt = 16,
    aaaa = 28,
    srv = 33,
    https = 65,
    axfr = 252,
    any = 255
};

std::string u16(unsigned value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }

std::string question(const std::string& name, unsigned type, unsigned dns_class = 1) {
    const auto wire_name = wire::encode_dns_name(name);
    return std::string(wire_name.begin(), wire_name.end()) + u16(type) + u16(dns_class);
}

std::string query(const std::string& name, unsigned type, unsigned flags = 0x0100, unsigned dns_class = 1) {
    return u16(7) + u16(flags) + u16(1) + u16(0) + u16(0) + u16(0) + question(name, type, dns_class);
}

/// With an option that only wants to be passed on: client subnet, or one for own use.
std::string with_option(std::string message, unsigned code, const std::string& data) {
    message[11] = 1;
    return message + "\0"s + u16(41) + u16(1232) + std::string(4, '\0') + u16(static_cast<unsigned>(4 + data.size())) +
           u16(code) + u16(static_cast<unsigned>(data.size())) + data;
}

struct Reply {
    int rcode = -1;  ///< -1: none
    int answers = 0;
    bool operator==(const Reply&) const = default;
};

Reply reply_of(const std::string& message) {
    if (message.size() < 12) return {};
    return {message[3] & 15, message[7]};
}

Reply ask_udp(SealedGateway& gateway, const std::string& server, const std::string& message) {
    auto client = gateway.connect(server, 53, SOCK_DGRAM);
    client.send(message);
    return reply_of(client.read_exactly(12));
}

Reply ask_tcp(SealedGateway& gateway, const std::string& server, const std::string& message) {
    auto client = gateway.connect(server, 53);
    client.send(u16(static_cast<unsigned>(message.size())) + message);
    return reply_of(client.read_exactly(14).substr(2));
}

constexpr Reply kNoSuchName{3, 0};
constexpr Reply kNoData{0, 0};
constexpr Reply kAddress{0, 1};

bool recorded(const std::vector<nlohmann::json>& events, const std::string& name) {
    return std::ranges::any_of(events, [&](const auto& event) {
        return event["event"] == "name" && event["name"] == name && event["decision"] == "deny";
    });
}

}  // namespace

TEST_CASE("request escape: DNS tunnels in every shape are answered here; no name is asked for outside") {
    const auto ground = AttemptGround::make();
    if (!ground) return;
    auto& gateway = ground->gateway();
    const std::string label(63, 'x');
    const std::string data = label + "." + label + "." + label;
    const std::string servers[] = {"8.8.8.8", "192.0.2.53", "127.0.0.11", "127.0.0.53", "198.18.0.1"};
    std::vector<std::string> denied;
    int number = 0;
    const auto try_both = [&](const std::string& message, Reply expected) {
        const auto& server = servers[number++ % std::size(servers)];
        CAPTURE(server);
        CHECK(ask_udp(gateway, server, message) == expected);
        CHECK(ask_tcp(gateway, server, message) == expected);
    };
    for (const unsigned type : {a, ns, cname, soa, null, ptr, mx, txt, aaaa, srv, https, axfr, any}) {
        CAPTURE(type);
        denied.push_back(fmt::format("t{}.{}.evil.test", type, data.substr(0, 127)));
        try_both(query(denied.back(), type), kNoSuchName);
        // Below an allowed wildcard names exist, and only addresses of ours are told of them.
        try_both(query(fmt::format("t{}.{}.wild.test", type, data.substr(0, 127)), type),
                 type == a ? kAddress : kNoData);
    }
    for (const std::string& name :
         {data + ".evil.test", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.evil.test"s, "evil"s, "api.test.evil.test"s,
          "x.api.test"s, "x.local"s, "1.2.0.192.in-addr.arpa"s, "x.ip6.arpa"s, "xn--bcher-kva.evil.test"s}) {
        denied.push_back(name);
        try_both(query(name, a), kNoSuchName);
    }
    for (int i = 0; i < 500; ++i)
        CHECK(ask_udp(gateway, servers[0], query(fmt::format("{:x}.{}.wild.test", i * 7919, label), a)) == kAddress);
    try_both(with_option(query("api.test", a), 8, std::string(100, 's')), kAddress);
    try_both(with_option(query("api.test", a), 65001, std::string(100, 's')), kAddress);
    try_both(with_option(query("o.evil.test", a), 65001, std::string(100, 's')), kNoSuchName);
    try_both(query("c.evil.test", txt, 0x0100, 3), {5, 0});  // CHAOS
    try_both(query("s.evil.test", a, 0x1000), {4, 0});       // STATUS, NOTIFY, UPDATE
    try_both(query("n.evil.test", soa, 0x2000), {4, 0});
    try_both(query("u.evil.test", soa, 0x2800), {4, 0});
    try_both(u16(7) + u16(0x100) + u16(2) + std::string(6, '\0') + question("api.test", a) + question("q.evil.test", a),
             {1, 0});
    try_both(query("api.test", a) + "and more bytes", {1, 0});
    const auto events = ground->settle();
    CHECK(gateway.names_asked().empty());
    for (const auto& name : denied) CHECK_MESSAGE(recorded(events, name), name);
}

TEST_CASE(
    "request escape: below a wildcard, the names that leave are those of connections that a rule may allow, on "
    "record") {
    const auto ground = AttemptGround::make(
        "[[allow]]\nhost = \"*.narrow.test\"\npath = \"/only\"\n"
        "[[deny]]\nhost = \"*.bad.narrow.test\"\n"
        "[[allow]]\nhost = \"*.pinned.test\"\ntls = \"passthrough\"\n"
        "[[allow]]\nhost = \"*.ssh.test\"\nport = 22\n");
    if (!ground) return;
    auto& gateway = ground->gateway();
    const auto get = [](const std::string& path, const std::string& host) {
        return request("GET " + path, "", "", host);
    };
    const auto hello = [&](const std::string& name) {  // offers both versions, so that the origin's count
        auto ssl = gateway.tls_client(name);
        SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>("\x02h2\x08http/1.1"), 12);
        return ssl;
    };
    const auto try_hello = [&](const std::string& name, const std::string& audited) {
        auto client = gateway.connect(AttemptGround::kAddress, 443);
        client.start_tls(hello(name));
        ground->judge(client, {name, "", "", audited});
    };
    for (const std::string name : {"d0.narrow.test", "d1.narrow.test", "d2.pinned.test", "d3.ssh.test"})
        CHECK(gateway.lookup(name) != "");
    ground->attempt(ground->tls("d4.narrow.test"), {"another path", get("/data", "d4.narrow.test"), "", "deny 403"});
    ground->attempt(ground->plain(), {"another path, plain", get("/data", "d5.narrow.test"), "", "deny 403"});
    ground->attempt(ground->plain(),
                    {"the path itself", get("/only", "d6.narrow.test"), "", "502 d6.narrow.test GET /only"});
    try_hello("d7.narrow.test", "allow alpn d7.narrow.test: asked which versions of HTTP it speaks");
    try_hello("d8.bad.narrow.test", "");
    try_hello("d9.evil.test", "");
    try_hello("d10.pinned.test", "deny tls d10.pinned.test: d10.pinned.test");
    auto ssh = gateway.connect(gateway.lookup("d11.ssh.test"), 22);
    ground->attempt(std::move(ssh), {"ssh by name", "SSH-2.0-x\r\n", "", "deny tcp d11.ssh.test"});
    ground->attempt(ground->tls("d12.narrow.test", "h2"), {"a hello of h2 alone asks nothing", "", "", ""});
    ground->settle();
    std::vector<std::string> asked;
    for (const auto& [name, times] : gateway.names_asked()) asked.push_back(name);
    CHECK(asked == std::vector<std::string>{"d10.pinned.test", "d11.ssh.test", "d6.narrow.test", "d7.narrow.test"});
}
