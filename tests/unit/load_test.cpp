#include "gateway/policy/load.hpp"

#include <doctest/doctest.h>

#include "tests/support/policy_text.hpp"

using namespace sallyport::policy;

namespace {

std::vector<std::string> mistakes_of(std::string_view text) {
    const LoadResult result = load(text, "p.toml");
    std::vector<std::string> lines;
    if (const auto* mistakes = std::get_if<std::vector<Mistake>>(&result))
        for (const Mistake& mistake : *mistakes) lines.push_back(mistake.to_string());
    return lines;
}

}  // namespace

TEST_SUITE("load") {
    TEST_CASE("an empty text is a policy that denies all") {
        CHECK(policy_of("")->rules().empty());
        CHECK(policy_of("# nothing\n")->rules().empty());
    }

    TEST_CASE("every key arrives where it belongs") {
        const auto policy = policy_of(R"(
[[allow]]
host    = ["API.example.com", "*.example.org"]
port    = [443, 8443]
method  = ["GET", "M-SEARCH"]
path    = ["/a/**", "/b"]
query   = { service = "git-*" }
private = true

[[deny]]
host = "api.example.com"
port = 22

[[allow]]
host = "pinned.example"
tls  = "passthrough"

[[secret]]
name        = "anthropic"
host        = "api.anthropic.com"
header      = "authorization"
format      = "Bearer {}"
value       = { env = "KEY" }
placeholder = "sk-ant-placeholder"

[[secret]]
name  = "git"
host  = "github.com"
basic = "x-access-token"
value = { file = "tokens/git" }

[[secret]]
name        = "tool"
host        = "tool.example"
placeholder = "placeholder-of-tool"
value       = { command = ["pass", "show", "tool"] }

[[route]]
host = "API.anthropic.com."
to   = "https://connector.internal:8443"

[[route]]
host = "v6.example"
to   = "http://[2001:db8::1]"
)");
        REQUIRE(policy->rules().size() == 3);  // allow rules first, then deny rules
        const Rule& allow = policy->rules()[0];
        CHECK(allow.hosts[0].name() == "api.example.com");
        CHECK(allow.hosts[1].kind() == HostPattern::Kind::subdomains);
        CHECK(allow.ports == std::vector<std::uint16_t>{443, 8443});
        CHECK(allow.methods == std::vector<std::string>{"GET", "M-SEARCH"});
        CHECK(allow.paths[1].text() == "/b");
        CHECK(allow.query[0].key == "service");
        CHECK(allow.query[0].value == "git-*");
        CHECK(allow.private_addresses);
        CHECK(!allow.pass_through);
        CHECK(allow.where.to_string() == "sallyport.toml:2");
        CHECK(policy->rules()[1].pass_through);
        CHECK(!policy->rules()[1].private_addresses);
        CHECK(policy->rules()[2].action == Action::deny);
        CHECK(policy->rules()[2].where.line == 10);

        REQUIRE(policy->secrets().size() == 3);
        const auto& secrets = policy->secrets();
        CHECK(secrets[0].header == "authorization");
        CHECK(secrets[0].format == "Bearer {}");
        CHECK(secrets[0].value.env == "KEY");
        CHECK(!secrets[0].value.file);
        CHECK(secrets[0].placeholder == "sk-ant-placeholder");
        CHECK(secrets[1].basic_user == "x-access-token");
        CHECK(!secrets[1].header);
        CHECK(secrets[1].value.file == "tokens/git");
        CHECK(secrets[2].value.command == std::vector<std::string>{"pass", "show", "tool"});

        const Route* route = policy->route_for("api.anthropic.com");
        REQUIRE(route);
        CHECK(route->tls);
        CHECK(route->to_host == "connector.internal");
        CHECK(route->to_port == 8443);
        CHECK(!policy->route_for("v6.example")->tls);
        CHECK(policy->route_for("v6.example")->to_host == "2001:db8::1");
        CHECK(policy->route_for("v6.example")->to_port == 80);
    }

    TEST_CASE("a secret's file is found from the policy's folder") {
        const char* text = "[[secret]]\nname='a'\nhost='a.example'\nheader='x-a'\nvalue={file='k/a'}\n";
        const auto file_of = [&](const char* policy) {
            return *std::get<std::shared_ptr<const Policy>>(load(text, policy))->secrets()[0].value.file;
        };
        CHECK(file_of("/etc/sallyport/policy.toml") == "/etc/sallyport/k/a");
        CHECK(file_of("policy.toml") == "k/a");
        CHECK(policy_of("[[secret]]\nname='a'\nhost='a.example'\nheader='x-a'\nvalue={file='/run/a'}\n")
                  ->secrets()[0]
                  .value.file == "/run/a");
    }

    TEST_CASE("presets come with their own positions, once however often they are named") {
        const auto once = policy_of("use = 'github-ssh'");
        const auto twice = policy_of("use = ['github-ssh', 'github-ssh']");
        REQUIRE(once->rules().size() == 1);
        CHECK(twice->rules().size() == 1);
        CHECK(once->rules()[0].where.to_string().starts_with("preset:github-ssh:"));
    }

    TEST_CASE("every kind of mistake is found, with line and column") {
        const std::string secret = "[[secret]]\nname='s'\nhost='a.example'\nvalue={env='A'}\n";  // 4 lines
        struct {
            std::string text;
            const char* at;
            const char* says;
        } const cases[] = {
            {"[[allow]\n", "p.toml:1:", ""},
            {"a = = b\n", "p.toml:1:", ""},
            {"\nalow = 1\n", "p.toml:2:1", "did you mean \"allow\"?"},
            {"something = 1\n", "p.toml:1:1", "known here: use, allow, deny, secret, route"},
            {"[allow]\nhost='a.example'\n", "p.toml:1:", "[[allow]], in double brackets"},
            {"allow = [1]\n", "p.toml:1:10", "[[allow]] is a table"},
            {"use = 1\n", "p.toml:1:7", "string or a list"},
            {"use = ['npm-install', 2]\n", "p.toml:1:23", "string or a list"},
            {"use = ['npm-instal']\n", "p.toml:1:8", "there are: claude-code, "},
            {"use = []\n", "p.toml:1:7", "empty list"},
            {"[[allow]]\n", "p.toml:1:1", "needs host"},
            {"[[deny]]\npath='/x'\n", "p.toml:1:1", "needs host"},
            {"[[allow]]\nhost='a.example'\nmethods='GET'\n", "p.toml:3:1", "did you mean \"method\"?"},
            {"[[deny]]\nhost='a.example'\nprivate=true\n", "p.toml:3:1", "unknown key \"private\" in [[deny]]"},
            {"[[deny]]\nhost='a.example'\ntls='passthrough'\n", "p.toml:3:1", "unknown key"},
            {"[[allow]]\nhost=[]\n", "p.toml:2:6", "empty list"},
            {"[[allow]]\nhost=7\n", "p.toml:2:6", "host is a string"},
            {"[[allow]]\nhost=['a.example', true]\n", "p.toml:2:20", "host is a string"},
            {"[[allow]]\nhost='*'\n", "p.toml:2:6", "whole Internet"},
            {"[[allow]]\nhost='127.1'\n", "p.toml:2:6", "bad host"},
            {"[[allow]]\nhost='a.example'\nport=0\n", "p.toml:3:6", "1 to 65535"},
            {"[[allow]]\nhost='a.example'\nport=65536\n", "p.toml:3:6", "1 to 65535"},
            {"[[allow]]\nhost='a.example'\nport='443'\n", "p.toml:3:6", "1 to 65535"},
            {"[[allow]]\nhost='a.example'\nport=[443, 4.5]\n", "p.toml:3:12", "1 to 65535"},
            {"[[allow]]\nhost='a.example'\nport=[]\n", "p.toml:3:6", "empty list"},
            {"[[allow]]\nhost='a.example'\nmethod='get'\n", "p.toml:3:8", "upper case"},
            {"[[allow]]\nhost='a.example'\nmethod=['GET', 'A B']\n", "p.toml:3:16", "upper case"},
            {"[[allow]]\nhost='a.example'\nmethod=[]\n", "p.toml:3:8", "empty list"},
            {"[[allow]]\nhost='a.example'\npath='x'\n", "p.toml:3:6", "starts with"},
            {"[[allow]]\nhost='a.example'\npath=['/a', '/b?c']\n", "p.toml:3:13", "query = {"},
            {"[[allow]]\nhost='a.example'\nquery='a=b'\n", "p.toml:3:7", "table of strings"},
            {"[[allow]]\nhost='a.example'\nquery={}\n", "p.toml:3:7", "table of strings"},
            {"[[allow]]\nhost='a.example'\nquery={a=1}\n", "p.toml:3:10", "a query value is a string"},
            {"[[allow]]\nhost='a.example'\nprivate='yes'\n", "p.toml:3:9", "true or false"},
            {"[[allow]]\nhost='a.example'\ntls='pass'\n", "p.toml:3:5", "\"passthrough\" only"},
            {"[[allow]]\nhost='a.example'\ntls='passthrough'\npath='/x'\n", "p.toml:3:5", "no method, path or query"},
            {"[[allow]]\nhost='a.example'\ntls=true\n", "p.toml:3:5", "tls is a string"},
            {secret, "p.toml:1:1", "needs header, basic or placeholder"},
            {"[[secret]]\n", "p.toml:1:1", "needs name"},
            {"[[secret]]\nname='a b'\nhost='a.example'\nheader='x-a'\nvalue={env='A'}\n", "p.toml:2:6",
             "letters, digits"},
            {"[[secret]]\nname='a'\nhost='a.example'\nheader='x-a'\n", "p.toml:1:1", "needs value"},
            {"[[secret]]\nname='a'\nhost='a.example'\nheader='x-a'\nvalue='sk-123'\n", "p.toml:5:7",
             "value is a table"},
            {"[[secret]]\nname='a'\nhost='a.example'\nheader='x-a'\nvalue={}\n", "p.toml:5:7", "exactly one source"},
            {"[[secret]]\nname='a'\nhost='a.example'\nheader='x-a'\nvalue={env='A',file='b'}\n", "p.toml:5:7",
             "exactly one"},
            {"[[secret]]\nname='a'\nhost='a.example'\nheader='x-a'\nvalue={envv='A'}\n", "p.toml:5:8",
             "did you mean \"env\"?"},
            {"[[secret]]\nname='a'\nhost='a.example'\nheader='x-a'\nvalue={env='A=B'}\n", "p.toml:5:12",
             "environment variable"},
            {"[[secret]]\nname='a'\nhost='a.example'\nheader='x-a'\nvalue={file=''}\n", "p.toml:5:13",
             "path of a file"},
            {"[[secret]]\nname='a'\nhost='a.example'\nheader='x-a'\nvalue={command='pass show'}\n", "p.toml:5:16",
             "list"},
            {"[[secret]]\nname='a'\nhost='a.example'\nheader='x-a'\nvalue={command=[]}\n", "p.toml:5:16", "empty list"},
            {"[[secret]]\nname='a'\nhost='a.example'\nheader='x-a'\nvalue={command=['']}\n", "p.toml:5:16",
             "without a shell"},
            {secret + "header='x a'\n", "p.toml:5:8", "name of a header field"},
            {secret + "header='x:a'\n", "p.toml:5:8", "name of a header field"},
            {secret + "header='Host'\n", "p.toml:5:8", "belongs to the connection"},
            {secret + "header='Content-Length'\n", "p.toml:5:8", "belongs to the connection"},
            {secret + "header='transfer-encoding'\n", "p.toml:5:8", "belongs to the connection"},
            {secret + "header='Connection'\n", "p.toml:5:8", "belongs to the connection"},
            {secret + "header='TE'\n", "p.toml:5:8", "belongs to the connection"},
            {secret + "header='Trailer'\n", "p.toml:5:8", "belongs to the connection"},
            {secret + "header='Upgrade'\n", "p.toml:5:8", "belongs to the connection"},
            {secret + "header='Expect'\n", "p.toml:5:8", "belongs to the connection"},
            {secret + "header='x-a'\nformat='Bearer'\n", "p.toml:6:8", "exactly once"},
            {secret + "header='x-a'\nformat='{} {}'\n", "p.toml:6:8", "exactly once"},
            {secret + "header='x-a'\nformat=\"{}\\r\\nx: y\"\n", "p.toml:6:8", "printable"},
            {secret + "placeholder='12345678'\nformat='{}'\n", "p.toml:6:8", "give the header too"},
            {secret + "basic='user'\nheader='x-a'\n", "p.toml:5:7", "leave out header and format"},
            {secret + "basic='user:x'\n", "p.toml:5:7", "without \":\""},
            {secret + "basic=\"a\\nb\"\n", "p.toml:5:7", "printable"},
            {secret + "placeholder='1234567'\n", "p.toml:5:13", "at least 8"},
            {secret + "placeholder='12345678'\nplaceholder_in=['body']\n", "p.toml:6:17", "not \"body\""},
            {secret + "header='x-a'\nplaceholder_in=['path']\n", "p.toml:6:16", "give that too"},
            {secret + "placeholder='1234 5678'\n", "p.toml:5:13", "without spaces"},
            {secret + "placeholder=\"1234567\xc3\xa9\"\n", "p.toml:5:13", "printable ASCII"},
            {secret + "basic='u'\n" + secret + "header='x-a'\n", "p.toml:6:1",
             "the name \"s\" is taken by the secret at p.toml:1"},
            {secret + "basic='u'\n[[secret]]\nname='t'\nhost='*.example'\nheader='Authorization'\nvalue={env='B'}\n",
             "p.toml:6:1", "sets the header \"authorization\" for the same host"},
            {secret + "placeholder='abcdefgh'\n[[secret]]\nname='t'\nhost='b.example'\nplaceholder='xabcdefghx'\nvalue="
                      "{env='B'}\n",
             "p.toml:6:1", "placeholder is part of, or holds,"},
            {secret + "header='x-a'\n[[allow]]\nhost='*.example'\ntls='passthrough'\n", "p.toml:6:1",
             "hides the requests"},
            {secret + "header='x-a'\n[[route]]\nhost='a.example'\nto='http://b.example'\n", "p.toml:6:1",
             "never goes over http"},
            {secret + "header='x-a'\n[[route]]\nhost='b.example'\nto='http://a.example'\n", "p.toml:6:1",
             "never goes over http"},
            {"[[route]]\nto='https://b.example'\n", "p.toml:1:1", "needs host"},
            {"[[route]]\nhost='a.example'\n", "p.toml:1:1", "needs to"},
            {"[[route]]\nhost='*.example'\nto='https://b.example'\n", "p.toml:2:6", "one name"},
            {"[[route]]\nhost=['a.example']\nto='https://b.example'\n", "p.toml:2:6", "host is a string"},
            {"[[route]]\nhost='a.example'\nto='https://b.example/x'\n", "p.toml:3:4", "without user, path or query"},
            {"[[route]]\nhost='a.example'\nto='https://b.example?x'\n", "p.toml:3:4", "without user, path or query"},
            {"[[route]]\nhost='a.example'\nto='https://u@b.example'\n", "p.toml:3:4", "without user, path or query"},
            {"[[route]]\nhost='a.example'\nto='https://u:p@b.example'\n", "p.toml:3:4", "without user, path or query"},
            {"[[route]]\nhost='a.example'\nto='https://b.example:0'\n", "p.toml:3:4", "without user, path or query"},
            {"[[route]]\nhost='a.example'\nto='https://b.example:65536'\n", "p.toml:3:4",
             "without user, path or query"},
            {"[[route]]\nhost='a.example'\nto='https://b.example:'\n", "p.toml:3:4", "without user, path or query"},
            {"[[route]]\nhost='a.example'\nto='https://[::1'\n", "p.toml:3:4", "without user, path or query"},
            {"[[route]]\nhost='a.example'\nto='https://[::1]x:80'\n", "p.toml:3:4", "without user, path or query"},
            {"[[route]]\nhost='a.example'\nto='ftp://b.example'\n", "p.toml:3:4", "without user, path or query"},
            {"[[route]]\nhost='a.example'\nto='https://b.example'\n[[route]]\nhost='A.example'\nto='https://"
             "c.example'\n",
             "p.toml:4:1", "has a route already, at p.toml:1"},
        };
        for (const auto& c : cases) {
            const auto found = mistakes_of(c.text);
            INFO(c.text);
            REQUIRE(!found.empty());
            INFO(found.front());
            CHECK(std::any_of(found.begin(), found.end(), [&](const std::string& line) {
                return line.starts_with(std::string(c.at)) && line.find(c.says) != std::string::npos;
            }));
        }
    }

    TEST_CASE("text outside ASCII stands in quotes and comments, and nowhere else") {
        // In toml++ 3.3 some of these are undefined behaviour: see document.cpp.
        CHECK(mistakes_of("\xef\xbb\xbf# caf\xc3\xa9 '\n[[allow]] # \xe2\x82\xac\nhost='a.example'\n"
                          "path=[\"/\\\"caf\xc3\xa9\", '/\xc3\xa9', \"\"\"/\xc3\xa9\"\"\", '''/\xc3\xa9''']\n")
                  .empty());
        for (const char* text :
             {"x = \xc7\xb9\n", "\xc7\xb9 = 1\n", "\xc7\xb9", "x = ''\xc7\xb9\n", "x = '\xc3\xa9\n\xc7\xb9"})
            CHECK(!mistakes_of(text).empty());
    }

    TEST_CASE("a table header that ends in mid-air is a mistake, not a crash") {
        for (const char* text : {"[\n", "[[\n", "[", "[a.\n", "= 1\n"}) {
            CAPTURE(text);
            CHECK(mistakes_of(text).size() == 1);
        }
    }

    TEST_CASE("all mistakes are told, in the order of the text") {
        const auto found = mistakes_of("[[deny]]\nhost='*'\n[[allow]]\nhost='a.example'\nport=0\npath='x'\nfoo=1\n");
        REQUIRE(found.size() == 4);
        CHECK(found[0].starts_with("p.toml:2:6: bad host"));
        CHECK(found[1].starts_with("p.toml:5:6: port"));
        CHECK(found[2].starts_with("p.toml:6:6: bad path"));
        CHECK(found[3].starts_with("p.toml:7:1: unknown key"));
    }

    TEST_CASE("attack: a policy's text cannot put control characters into a message") {
        const auto found = mistakes_of("[[allow]]\nhost=\"\\u001b[31mx\"\nmethod=\"\\n\"\n\"k\\u001b\"=1\n");
        REQUIRE(found.size() == 3);
        for (const std::string& line : found) CHECK(line.find_first_of("\x1b\n") == std::string::npos);
    }
}
