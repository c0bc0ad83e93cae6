#include "container/account.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <sstream>

#include "container/files.hpp"
#include "container/isolation.hpp"
#include "container/trust_layout.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

std::optional<unsigned> to_id(const std::string& text) {
    unsigned id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return id;
}

std::optional<unsigned> id_from(std::span<const std::string> environment, const std::string& key) {
    return to_id(environment_value(environment, key));
}

std::vector<gid_t> groups_of(const char* name, gid_t gid) {
    int count = 64;
    std::vector<gid_t> groups(static_cast<std::size_t>(count));
    if (::getgrouplist(name, gid, groups.data(), &count) < 0) {
        groups.resize(static_cast<std::size_t>(count));
        if (::getgrouplist(name, gid, groups.data(), &count) < 0) count = 0;
    }
    groups.resize(static_cast<std::size_t>(count));
    return groups;
}

/// In our user namespace; `map` is /proc/self/uid_map or gid_map (user_namespaces(7)).
bool exists(unsigned id, const std::string& map) {
    std::istringstream lines(read_file(map).value_or(""));
    for (unsigned long first = 0, outside = 0, count = 0; lines >> first >> outside >> count;)
        if (id >= first && id - first < count) return true;
    return false;
}

}  // namespace

Account command_account(std::span<const std::string> environment) {
    const Account ourselves{::geteuid(), ::getegid(), {}, {}, {}};
    const auto uid = id_from(environment, "SUDO_UID");
    const auto gid = id_from(environment, "SUDO_GID");
    if (ourselves.uid != 0 || !uid || !gid || *uid == 0 || !has_capability(CAP_SETUID)) return ourselves;

    const passwd* entry = ::getpwuid(*uid);
    if (!entry)
        throw StartupError("SUDO_UID=" + std::to_string(*uid) + " is no user of this machine; unset it to run as root");
    return {
        *uid,
        *gid,
        entry->pw_name,
        groups_of(entry->pw_name, *gid),
        {{"HOME", entry->pw_dir}, {"USER", entry->pw_name}, {"LOGNAME", entry->pw_name}, {"SHELL", entry->pw_shell}}};
}

Account account_of(const std::string& name_or_uid) {
    const auto uid = to_id(name_or_uid);
    const passwd* entry = uid ? ::getpwuid(*uid) : ::getpwnam(name_or_uid.c_str());
    constexpr unsigned kLeaveAsItIs = ~0u;  // setresuid(2)
    if (!entry && (!uid || *uid == kLeaveAsItIs))
        throw StartupError("there is no user called " + name_or_uid + "; --user takes a name or a number");
    Account account{entry ? entry->pw_uid : *uid, entry ? entry->pw_gid : *uid, name_or_uid, {}, {}};
    if (entry) account.groups = groups_of(entry->pw_name, entry->pw_gid);
    if (account.uid == ::geteuid()) account.name.clear();
    return account;
}

Account serving_account() {
    constexpr unsigned kServing = 65532;
    const bool possible = ::geteuid() == 0 && has_capability(CAP_SETUID) && has_capability(CAP_SETGID) &&
                          exists(kServing, "/proc/self/uid_map") && exists(kServing, "/proc/self/gid_map");
    if (!possible) return {::geteuid(), ::getegid(), {}, {}, {}};
    return {kServing, kServing, "user " + std::to_string(kServing), {}, {}};
}

void become(const Account& account) {
    if (!account.is_other_user()) return;
    if (::setgroups(account.groups.size(), account.groups.data()) != 0 ||
        ::setresgid(account.gid, account.gid, account.gid) != 0 ||
        ::setresuid(account.uid, account.uid, account.uid) != 0)
        throw system_error("cannot become " + account.name, errno);
}

}  // namespace sallyport::container
