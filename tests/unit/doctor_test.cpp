#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "gateway/app/doctor/judge.hpp"
#include "gateway/app/doctor/proc_net.hpp"

using namespace sallyport;
using namespace sallyport::doctor;

namespace {

/// A gateway answers, everything else is refused, and the process can do nothing.
Observations guarded(std::vector<std::string> uplinks) {
    Observations seen;
    seen.uplinks = std::move(uplinks);
    seen.attempts = {{"TCP", Reach::gateway},
                     {"UDP", Reach::refused},
                     {"raw IP packets", Reach::no_socket},
                     {kFrames, Reach::no_socket},
                     {"DNS to any server", Reach::gateway}};
    return seen;
}

Attempt& attempt(Observations& seen, const std::string& what) {
    return *std::find_if(seen.attempts.begin(), seen.attempts.end(), [&](auto& one) { return one.what == what; });
}

/// All that Docker's default capabilities give, and more.
Observations with_every_privilege(Observations seen) {
    attempt(seen, kFrames).reach = Reach::no_route;
    attempt(seen, "raw IP packets").reach = Reach::refused;
    seen.is_root = seen.may_set_mark = seen.may_open_xdp = seen.may_change_rules = seen.may_change_user = true;
    return seen;
}

std::string last_line(const std::string& text) { return text.substr(text.rfind('\n', text.size() - 2) + 1); }

bool says(const Observations& seen, const std::string& text) {
    return to_string(judge(seen)).find(text) != std::string::npos;
}

std::string verdict(const Observations& seen) { return last_line(to_string(judge(seen))); }

}  // namespace

TEST_CASE("doctor: a sealed process that can do everything else is contained") {
    const auto seen = with_every_privilege(guarded({}));
    const auto diagnosis = judge(seen);
    CHECK(diagnosis.form == Form::sealed);
    CHECK(diagnosis.contained());
    CHECK(verdict(seen) == "contained\n");
    CHECK(says(seen, "packet sockets"));
    CHECK_FALSE(says(seen, "OPEN"));
    CHECK_FALSE(says(seen, "change:"));
}

TEST_CASE("doctor: sealed and without a gateway at the moment, nothing leaves") {
    auto seen = guarded({});
    for (auto& one : seen.attempts)
        if (one.reach == Reach::gateway) one.reach = Reach::silence;
    CHECK(judge(seen).form == Form::sealed);
    CHECK(judge(seen).contained());
}

TEST_CASE("doctor: no interface and no gateway either is offline") {
    Observations seen;
    seen.attempts = {{"TCP", Reach::no_route}, {kFrames, Reach::no_socket}};
    CHECK(judge(seen).form == Form::offline);
    CHECK(judge(seen).contained());
}

TEST_CASE("doctor: a shared process without privileges is contained") {
    const auto seen = guarded({"eth0"});
    CHECK(judge(seen).form == Form::shared);
    CHECK(verdict(seen) == "contained\n");
    CHECK(says(seen, "eth0"));
}

TEST_CASE("doctor: in the shared form NET_RAW is named with what it opens, and the change stands once") {
    auto seen = guarded({"eth0"});
    attempt(seen, kFrames).reach = Reach::refused;
    seen.may_open_xdp = seen.may_set_mark = true;
    CHECK_FALSE(judge(seen).contained());
    CHECK(verdict(seen) == "contained except: packet sockets, AF_XDP, SO_MARK\n");
    const auto text = to_string(judge(seen));
    const auto change = text.find("change: cap_drop: [NET_RAW]");
    REQUIRE(change != text.npos);
    CHECK(text.find("change:", change + 1) == text.npos);
}

TEST_CASE("doctor: each privilege alone keeps a shared process from being contained") {
    const auto with = [](auto change) {
        auto seen = guarded({"eth0"});
        change(seen);
        CHECK_FALSE(judge(seen).contained());
        CHECK(says(seen, "  OPEN  "));
        CHECK(says(seen, "change: "));
        return verdict(seen);
    };
    CHECK(with([](auto& seen) { seen.exempt_user = 65532; }) == "contained except: other users\n");
    CHECK(with([](auto& seen) { seen.may_use_sudo = true; }) == "contained except: sudo\n");
    CHECK(with([](auto& seen) { seen.open_cgroups = {"/sys/fs/cgroup"}; }) == "contained except: cgroups\n");
    CHECK(with([](auto& seen) { seen.may_change_rules = true; }) == "contained except: firewall\n");
    CHECK(with([](auto& seen) { seen.may_mount = true; }) == "contained except: mounts\n");
    CHECK(with([](auto& seen) { seen.other_namespaces = {"/proc/7"}; }) == "contained except: other networks\n");
    CHECK(with([](auto& seen) { seen.engines = {"/run/docker.sock"}; }) == "contained except: container engine\n");
    CHECK(with([](auto& seen) {
              seen.gateway = VisibleGateway{7, true, true};
          }) == "contained except: gateway's process\n");
}

TEST_CASE("doctor: what reaches past the network is open in the sealed form too") {
    auto seen = guarded({});
    seen.may_mount = true;
    seen.other_namespaces = {"/proc/7"};
    seen.engines = {"/run/docker.sock"};
    CHECK(verdict(seen) == "contained except: mounts, other networks, container engine\n");
}

TEST_CASE("doctor: a gateway that can be ended but not read closes everything, so it is no way out") {
    auto seen = guarded({"eth0"});
    seen.gateway = VisibleGateway{7, true, false};
    CHECK(judge(seen).contained());
    CHECK(says(seen, "can be ended"));
}

TEST_CASE("doctor: becoming any user is no way out where no user is exempt") {
    auto seen = guarded({"eth0"});
    seen.may_change_user = true;
    CHECK(judge(seen).contained());
}

TEST_CASE("doctor: one kind of packet that leaves is enough for a loud verdict") {
    auto seen = guarded({"eth0"});
    attempt(seen, "UDP").reach = Reach::silence;
    seen.may_set_mark = true;
    CHECK(verdict(seen) == "NOT CONTAINED: these leave past any gateway: UDP\n");
}

TEST_CASE("doctor: a name server that is not the gateway is a way out") {
    auto seen = guarded({"eth0"});
    seen.attempts.push_back({"DNS to 10.0.0.2", Reach::foreign});
    CHECK(verdict(seen) == "NOT CONTAINED: these leave past any gateway: DNS to 10.0.0.2\n");
}

TEST_CASE("doctor: an interface and nothing that answers as a gateway is never called contained") {
    auto seen = guarded({"eth0"});
    for (auto& one : seen.attempts)
        if (one.reach == Reach::gateway) one.reach = Reach::refused;
    CHECK(judge(seen).form == Form::unguarded);
    CHECK_FALSE(judge(seen).contained());
    CHECK(verdict(seen).starts_with("NOT CONTAINED, as far as can be told"));
}

TEST_CASE("doctor: the kernel's socket tables are read in both families") {
    const auto sockets = parse_proc_net(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:3A99 010200C0:0009 01 00000000:00000000 00:00000000 00000000 65532        0 17\n"
        "   1: 00000000000000000000000001000000:3A99 B80D0120000000000000000001000000:01BB 01 0:0 0:0 0 0 0 18\n"
        "   2: 0000000000000000FFFF00000100007F:0035 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 19\n"
        "   3: nonsense:0035 0100007F:0000\n"
        "   4: 0100007F:123456 0100007F:0000\n");
    REQUIRE(sockets.size() == 3);
    CHECK(sockets[0].local.to_string() == "127.0.0.1:15001");
    CHECK(sockets[0].remote.to_string() == "192.0.2.1:9");
    CHECK(sockets[0].owner == 65532);
    CHECK(sockets[1].local.to_string() == "[::1]:15001");
    CHECK(sockets[1].remote.to_string() == "[2001:db8::1]:443");
    CHECK(sockets[2].local.to_string() == "127.0.0.1:53");
}
