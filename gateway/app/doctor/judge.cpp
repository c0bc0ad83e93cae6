#include "gateway/app/doctor/judge.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace sallyport::doctor {
namespace {

constexpr const char* kGuard = "have `sallyport gateway --guard`, or `sallyport guard`, program this network namespace";
constexpr const char* kDropNetRaw = "cap_drop: [NET_RAW] on the app";

Finding ok(std::string what, std::string meaning) { return {std::move(what), Outcome::ok, std::move(meaning), {}}; }
Finding not_applicable(std::string what, std::string meaning) {
    return {std::move(what), Outcome::not_applicable, std::move(meaning), {}};
}
Finding open(std::string what, std::string meaning, std::string remedy) {
    return {std::move(what), Outcome::open, std::move(meaning), std::move(remedy)};
}

bool is_open(const Finding& finding) { return finding.outcome == Outcome::open; }

Form form_of(const Observations& seen) {
    const auto any = [&](auto holds) { return std::any_of(seen.attempts.begin(), seen.attempts.end(), holds); };
    const bool answered = any([](const Attempt& attempt) { return attempt.reach == Reach::gateway; });
    if (!seen.uplinks.empty()) return answered ? Form::shared : Form::unguarded;
    const auto got_nowhere = [](const Attempt& attempt) {
        return attempt.reach == Reach::no_route || attempt.reach == Reach::no_socket;
    };
    return any([&](const Attempt& attempt) { return !got_nowhere(attempt); }) ? Form::sealed : Form::offline;
}

Finding judge_attempt(const Attempt& attempt, bool uplink) {
    switch (attempt.reach) {
        case Reach::no_socket:
            return ok(attempt.what, "no such socket for this process");
        case Reach::no_route:
            return ok(attempt.what, "nothing leads there");
        case Reach::refused:
            return ok(attempt.what, "refused at once");
        case Reach::gateway:
            return ok(attempt.what, "ends in the gateway");
        case Reach::silence:
            if (!uplink) return ok(attempt.what, "no answer, and no interface to leave by");
            return open(attempt.what, "leaves by the interface", kGuard);
        case Reach::foreign:
            break;
    }
    if (!uplink) return ok(attempt.what, "answered from within this network namespace");
    return open(attempt.what, "answered by something that is not the gateway", kGuard);
}

// ---- each needs an interface to be of use

Finding judge_frames(const Observations& seen) {
    const auto* what = "packet sockets";
    const auto frames = std::find_if(seen.attempts.begin(), seen.attempts.end(),
                                     [](const Attempt& attempt) { return attempt.what == kFrames; });
    if (frames == seen.attempts.end() || frames->reach == Reach::no_socket) return ok(what, "cannot be opened");
    if (seen.uplinks.empty()) return ok(what, "can be opened, but there is no interface to send by");
    return open(what, "read all that the gateway sends, and can forge answers to it", kDropNetRaw);
}

Finding judge_xdp(const Observations& seen) {
    const auto* what = "AF_XDP";
    if (!seen.may_open_xdp) return ok(what, "cannot be opened");
    if (seen.uplinks.empty()) return ok(what, "can be opened, but there is no interface to send by");
    return open(what, "sends past every rule of this network namespace", kDropNetRaw);
}

Finding judge_mark(const Observations& seen) {
    const auto* what = "SO_MARK";
    if (!seen.may_set_mark) return ok(what, "cannot be set");
    if (seen.uplinks.empty()) return ok(what, "can be set, but no rule looks at it");
    return open(what, "a packet can carry the mark of the gateway's own, once that is found", kDropNetRaw);
}

Finding judge_users(const Observations& seen) {
    const auto* what = "other users";
    if (seen.uplinks.empty()) return not_applicable(what, "no user is exempt from the rules");
    if (seen.exempt_user)
        return open(what, fmt::format("as user {}, packets leave", *seen.exempt_user),
                    "cap_drop: [SETUID] on the app, or tell the gateway apart by its cgroup (--exempt cgroup)");
    return ok(what,
              seen.may_change_user ? "can be changed to, and none that was tried is let out" : "cannot be changed to");
}

Finding judge_sudo(const Observations& seen) {
    const auto* what = "sudo";
    if (seen.is_root) return not_applicable(what, "this is root");
    if (!seen.may_use_sudo) return ok(what, "does not give root without a password");
    if (seen.uplinks.empty()) return ok(what, "gives root, who has no interface to leave by either");
    return open(what, "gives root without a password",
                "take that out of sudoers, or set no-new-privileges; `sudo sallyport doctor` says what root can do");
}

Finding judge_cgroups(const Observations& seen) {
    const auto* what = "cgroups";
    if (seen.uplinks.empty()) return not_applicable(what, "no cgroup is exempt from the rules");
    if (seen.open_cgroups.empty()) return ok(what, "cannot be changed");
    return open(what, fmt::format("a process can move into others, by {}", fmt::join(seen.open_cgroups, ", ")),
                "mount /sys/fs/cgroup read-only (or not at all) in the app, and do not run it privileged");
}

Finding judge_rules(const Observations& seen) {
    const auto* what = "firewall";
    if (!seen.may_change_rules) return ok(what, "cannot be changed");
    if (seen.uplinks.empty()) return ok(what, "can be changed (drop NET_ADMIN), but there is no interface to leave by");
    return open(what, "can be changed and flushed", "no cap_add: [NET_ADMIN] on the app");
}

// ---- each of use in every form

Finding judge_mounts(const Observations& seen) {
    if (!seen.may_mount) return ok("mounts", "cannot be changed");
    return open("mounts", "can be changed: SYS_ADMIN undoes most of what keeps a container in",
                "neither privileged nor cap_add: [SYS_ADMIN] on the app");
}

Finding judge_namespaces(const Observations& seen) {
    if (seen.other_namespaces.empty()) return ok("other networks", "none can be entered");
    return open("other networks", fmt::format("can be entered through {}", fmt::join(seen.other_namespaces, ", ")),
                "give the app a pid namespace of its own, without SYS_ADMIN");
}

Finding judge_gateway(const Observations& seen) {
    const auto* what = "gateway's process";
    if (!seen.gateway) return ok(what, "not in sight");
    const auto pid = seen.gateway->pid;
    if (seen.gateway->may_read)
        return open(what, fmt::format("its memory, secrets and all, can be read (pid {})", pid),
                    "give gateway and app pid namespaces of their own, or a user of their own each");
    const auto self = to_string(seen.gateway->status);
    if (seen.gateway->may_signal)
        return ok(what,
                  fmt::format("in sight (pid {}: {}): can be ended, which closes everything, but not read", pid, self));
    return ok(what, fmt::format("in sight (pid {}: {}), can neither be read nor ended", pid, self));
}

/// Not the app's to change, and nothing that lets it out.
Finding judge_landlock(const Observations& seen) {
    const auto* what = "gateway's files";
    if (seen.has_landlock) return ok(what, "read-only for it, by Landlock");
    return not_applicable(what,
                          "no Landlock to be seen in this kernel: its user and its system calls keep it from writing");
}

Finding judge_engines(const Observations& seen) {
    if (seen.engines.empty()) return ok("container engine", "out of reach");
    return open("container engine",
                fmt::format("{}: can start a container beside the guard", fmt::join(seen.engines, ", ")),
                "do not mount it into the app");
}

std::string describe(const Diagnosis& diagnosis) {
    switch (diagnosis.form) {
        case Form::sealed:
            return "sealed: this network namespace has no interface but lo";
        case Form::offline:
            return "offline: this network namespace has no interface but lo, and no gateway";
        case Form::shared:
            return fmt::format("shared: rules stand between this process and {}", fmt::join(diagnosis.uplinks, ", "));
        case Form::unguarded:
            break;
    }
    return fmt::format("unguarded: no gateway answers, and these interfaces are up: {}",
                       fmt::join(diagnosis.uplinks, ", "));
}

std::string line(const std::string& word, const std::string& what, const std::string& meaning) {
    return fmt::format("  {:<4}  {:<24}  {}\n", word, what, meaning);
}

/// Neighbours with the same remedy share its line.
std::string lines(const std::vector<Finding>& findings) {
    static constexpr const char* kWords[] = {"ok", "OPEN", "n/a"};
    std::string text, remedy;
    const auto end_remedy = [&] {
        if (!remedy.empty()) text += line("", "", "change: " + remedy);
        remedy.clear();
    };
    for (const auto& finding : findings) {
        if (finding.remedy != remedy) end_remedy();
        remedy = finding.remedy;
        text += line(kWords[static_cast<int>(finding.outcome)], finding.what, finding.meaning);
    }
    end_remedy();
    return text;
}

std::string verdict(const Diagnosis& diagnosis) {
    if (diagnosis.contained()) return "contained";
    std::vector<std::string> names;
    const bool leaks = std::any_of(diagnosis.traffic.begin(), diagnosis.traffic.end(), is_open);
    for (const auto& finding : leaks ? diagnosis.traffic : diagnosis.privileges)
        if (is_open(finding)) names.push_back(finding.what);
    if (leaks) return fmt::format("NOT CONTAINED: these leave past any gateway: {}", fmt::join(names, ", "));
    if (diagnosis.form == Form::unguarded)
        return "NOT CONTAINED, as far as can be told: what was tried was refused, but by no gateway that answers";
    return fmt::format("contained except: {}", fmt::join(names, ", "));
}

}  // namespace

bool Diagnosis::contained() const {
    return form != Form::unguarded && std::none_of(traffic.begin(), traffic.end(), is_open) &&
           std::none_of(privileges.begin(), privileges.end(), is_open);
}

Diagnosis judge(const Observations& seen) {
    Diagnosis diagnosis{form_of(seen), seen.uplinks, {}, {}};
    for (const auto& attempt : seen.attempts)
        diagnosis.traffic.push_back(judge_attempt(attempt, !seen.uplinks.empty()));
    for (const auto judge_one :
         {judge_frames, judge_xdp, judge_mark, judge_users, judge_sudo, judge_cgroups, judge_rules, judge_mounts,
          judge_namespaces, judge_gateway, judge_landlock, judge_engines})
        diagnosis.privileges.push_back(judge_one(seen));
    return diagnosis;
}

std::string to_string(const Diagnosis& diagnosis) {
    return describe(diagnosis) + '\n' + lines(diagnosis.traffic) + lines(diagnosis.privileges) + verdict(diagnosis) +
           '\n';
}

}  // namespace sallyport::doctor
