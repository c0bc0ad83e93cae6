// The sealed forms at the moments when something is not there yet, is being replaced, or was killed. The storm is every
// packet attack, again and again.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "container/files.hpp"
#include "tests/support/attack_judge.hpp"
#include "tests/support/doorway_ground.hpp"
#include "tests/support/escape_ground.hpp"
#include "tests/support/guarded_run.hpp"
#include "tests/support/netns_fixture.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

using Strings = std::vector<std::string>;

/// The only child of a process: of `sallyport run`, the sandbox's first process.
pid_t child_of(pid_t pid) {
    const auto number = std::to_string(pid);
    const auto children = container::read_file("/proc/" + number + "/task/" + number + "/children").value_or("");
    return std::atoi(children.c_str());
}

}  // namespace

TEST_CASE(
    "escape: nothing leaves a doorway's namespace before it seals, while it does, on a reload, or as each is killed") {
    if (::geteuid() != 0) return skip("Docker's root takes root");
    const DoorwayGround ground;
    if (!ground.outside) return;
    const auto network = ground.new_network();
    const auto storm = ground.attack(network.get(), "storm", NetRaw::kept);
    await_rounds(*storm);
    const auto doorway = ground.doorway(network.get());
    await_rounds(*storm);
    for (const int how : {SIGKILL, SIGTERM}) {
        const auto gateway = ground.gateway();
        REQUIRE(line_with(*gateway, "serving the sandbox") != "");
        await_rounds(*storm);
        std::ofstream(ground.directory() / "policy.toml") << "[[allow]]\nhost = \"other.example\"\n";
        ::kill(gateway->pid(), SIGHUP);
        await_rounds(*storm);
        ::kill(gateway->pid(), how);
        gateway->read_all();
        await_rounds(*storm);
    }
    kill_hard(*doorway);
    await_rounds(*storm);
    CHECK(ground.outside->recorded().destinations() == Strings());
}

TEST_CASE("escape: when the sandbox's first process is killed the storm ends, and nothing of it leaves") {
    for (const bool nobody : each_user()) {
        CAPTURE(nobody);
        const EscapeGround ground(nobody);
        if (!ground.outside) return;
        const auto gateway = ground.under_sallyport(EscapeGround::attack("storm"));
        await_rounds(*gateway);
        const auto init = child_of(gateway->pid());
        REQUIRE(init > 0);
        ::kill(init, SIGKILL);
        gateway->read_all();  // nobody of the sandbox is left
        CHECK(ground.outside->recorded().destinations() == Strings());
    }
}
