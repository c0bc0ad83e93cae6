#pragma once
// Who COMMAND runs as.

#include <sys/types.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sallyport::container {

struct Account {
    uid_t uid = 0;
    gid_t gid = 0;
    /// Empty when COMMAND runs as who we are. Otherwise the user who called sudo(8), and what comes with that:
    std::string name;
    std::vector<gid_t> groups;
    std::vector<std::pair<std::string, std::string>> environment;  ///< HOME, USER, LOGNAME, SHELL

    bool is_other_user() const { return !name.empty(); }
};

/// The invoking user: when we are root by sudo (SUDO_UID and SUDO_GID in `environment`) that user, else ourselves.
/// Asks the system's user database, so call it outside the sandbox, where that can answer. Throws StartupError when
/// SUDO_UID names nobody.
Account command_account(std::span<const std::string> environment);

/// The user of that name or number, with no environment; a number need not stand in the user database, and has itself
/// as group then. Not another user when it is who we are. Throws StartupError for a name that nobody has.
Account account_of(const std::string& name_or_uid);

/// Whom a gateway that root started serves as where nobody was named: a user to whom nothing else belongs (the number
/// that the image has too). Ourselves where we cannot become that one.
Account serving_account();

/// Becomes that user for good: supplementary groups, group, user. Throws StartupError.
void become(const Account& account);

}  // namespace sallyport::container
