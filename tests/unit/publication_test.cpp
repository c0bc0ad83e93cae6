#include <doctest/doctest.h>

#include "gateway/policy/load.hpp"
#include "tests/support/policy_text.hpp"

using namespace sallyport::policy;

namespace {

std::string first_mistake(std::string_view text) {
    const LoadResult result = load(text, "p.toml");
    const auto* mistakes = std::get_if<std::vector<Mistake>>(&result);
    return mistakes ? mistakes->front().to_string() : "";
}

}  // namespace

TEST_CASE("publish: the gateway listens on the sandbox's port, or on another one") {
    const auto policy = policy_of("[[publish]]\nport = 3000\n\n[[publish]]\nport = 3000\nlisten = 8080\n");
    REQUIRE(policy->publications().size() == 2);
    CHECK(policy->publications()[0].listen == 3000);
    CHECK(policy->publications()[1].port == 3000);
    CHECK(policy->publications()[1].listen == 8080);
    CHECK(policy->publications()[1].where.to_string() == "sallyport.toml:4");
    CHECK(policy->rules().empty());
}

TEST_CASE("publish: what is no port, missing, unknown or taken is a mistake with its place") {
    CHECK(first_mistake("[[publish]]\nlisten = 3000\n") == "p.toml:1:1: [[publish]] needs port, as in port = 3000");
    CHECK(first_mistake("[[publish]]\nport = 0\n") == "p.toml:2:8: port is a number from 1 to 65535");
    CHECK(first_mistake("[[publish]]\nport = 65536\n") == "p.toml:2:8: port is a number from 1 to 65535");
    CHECK(first_mistake("[[publish]]\nport = \"3000\"\n") == "p.toml:2:8: port is a number from 1 to 65535");
    CHECK(first_mistake("[[publish]]\nport = [3000]\n") == "p.toml:2:8: port is a number from 1 to 65535");
    CHECK(first_mistake("[[publish]]\nport = 3000\nlisten = -1\n") ==
          "p.toml:3:10: listen is a number from 1 to 65535");
    CHECK(first_mistake("[[publish]]\nport = 3000\nlistn = 1\n").find("did you mean \"listen\"?") != std::string::npos);
    CHECK(first_mistake("[publish]\nport = 3000\n").find("write [[publish]]") != std::string::npos);
    CHECK(first_mistake("[[publish]]\nport = 3000\n[[publish]]\nport = 4000\nlisten = 3000\n") ==
          "p.toml:3:1: the gateway listens on this port for the [[publish]] at p.toml:1 already");
}
