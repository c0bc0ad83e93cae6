#pragma once
// User and group ids of the sandbox's user namespace: every id stands for itself.

#include <sys/types.h>

#include <string>
#include <string_view>

namespace sallyport::container {

/// Pure: the map for a child namespace, given the writer's own map (user_namespaces(7)): all ids that exist here when
/// the writer may map others' (`all`), else only `id`.
std::string identity_map(std::string_view own_map, unsigned id, bool all);

/// Writes the maps of a child that has just been cloned into a new user namespace.
/// The child must be dumpable, or its /proc files would not be ours to write. Throws StartupError.
void write_id_maps(pid_t child);

}  // namespace sallyport::container
