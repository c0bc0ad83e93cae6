#include "gateway/base/wiped_memory.hpp"

#include <malloc.h>
#include <string.h>

#include <algorithm>
#include <cstdlib>

namespace sallyport {

void wipe_and_free(void* block) noexcept {
    if (!block) return;
    ::explicit_bzero(block, ::malloc_usable_size(block));
    std::free(block);
}

void* wiping_realloc(void* block, std::size_t size) noexcept {
    const auto old_size = block ? ::malloc_usable_size(block) : 0;
    if (size > 0 && size <= old_size && size >= old_size / 2) return block;
    void* moved = size > 0 ? std::malloc(size) : nullptr;
    if (size > 0 && !moved) return nullptr;
    if (block && moved)
        std::copy_n(static_cast<const char*>(block), std::min(size, old_size), static_cast<char*>(moved));
    wipe_and_free(block);
    return moved;
}

}  // namespace sallyport
