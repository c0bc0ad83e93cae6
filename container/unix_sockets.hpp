#pragma once
// The named unix sockets of programs outside: each one is a way out of a network namespace (connect(2) to a path does
// not ask for the namespace), be it Docker's, systemd's, tmux's or an agent's.

#include <string>
#include <string_view>
#include <vector>

namespace sallyport::container {

/// Pure: the paths in a text of /proc/net/unix as they were bound, absolute or relative; abstract names are none.
std::vector<std::string> parse_unix_sockets(std::string_view proc_net_unix);

/// Absolute paths of sockets as they are now: of every network namespace that some visible process is in, those that
/// are mount points (containers get docker.sock that way), and what lies in /tmp and /var/tmp and one level below.
/// One that was bound by a relative path is found where some process has its current directory.
std::vector<std::string> outside_unix_sockets();

}  // namespace sallyport::container
