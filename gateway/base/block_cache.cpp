#include "gateway/base/block_cache.hpp"

#include <string.h>

#include <utility>

namespace sallyport {

BlockCache::Shelf& BlockCache::shelf() {
    thread_local Shelf shelf;
    return shelf;
}

BlockCache::Block BlockCache::take() {
    auto& here = shelf();
    if (here.count == 0) return std::make_unique_for_overwrite<char[]>(kBlock);
    return std::move(here.blocks[--here.count]);
}

void BlockCache::give_back(Block block, std::size_t used) {
    auto& here = shelf();
    if (!block || here.count == kMost) return;
    ::explicit_bzero(block.get(), used);
    here.blocks[here.count++] = std::move(block);
}

}  // namespace sallyport
