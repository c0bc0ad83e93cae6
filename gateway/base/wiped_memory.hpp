#pragma once
// A heap whose freed blocks are overwritten, for libraries that take one: what passed through them (requests with a
// secret in them, a key in PEM) is not left behind for whoever reads this memory later.

#include <cstddef>

namespace sallyport {

/// Of malloc(3) and its kin; null is fine.
void wipe_and_free(void* block) noexcept;
/// realloc(3), but a block that moves leaves nothing behind.
void* wiping_realloc(void* block, std::size_t size) noexcept;

}  // namespace sallyport
