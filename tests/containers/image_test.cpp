// The image that `docker build` makes.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/engine.hpp"

using namespace sallyport::test;

TEST_CASE("image: one small program, not root, without a shell") {
    if (!engine_is_ready()) return;
    const auto version =
        docker({"run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", "sallyport", "--version"});
    INFO(version.shown());
    CHECK(version.says("sallyport "));

    const auto inspected = docker({"image", "inspect", "sallyport"});
    REQUIRE(inspected.exited_with(0));
    const auto image = nlohmann::json::parse(inspected.out).at(0);
    CHECK(image["Config"]["User"] == "65532:65532");
    CHECK(image["Config"]["Healthcheck"]["Test"] == nlohmann::json({"CMD", "/usr/local/bin/sallyport", "health"}));
    CHECK(image["Size"].get<std::size_t>() < 20'000'000);

    CHECK_FALSE(docker({"run", "--rm", "--entrypoint=/bin/sh", "sallyport", "-c", "true"}).exited_with(0));
}
