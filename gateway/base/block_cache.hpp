#pragma once
// Blocks to read into that are at hand again at once: taking one from the heap for each message, and wiping all of it
// afterwards, costs more than what is done with it. Each thread has its own.

#include <array>
#include <cstddef>
#include <memory>

namespace sallyport {

class BlockCache {
public:
    static constexpr std::size_t kBlock = 16 * 1024;  // bytes
    using Block = std::unique_ptr<char[]>;

    /// Its content is anything but a secret.
    static Block take();
    /// `used`: how many bytes at its front were written to; they are wiped. May be null.
    static void give_back(Block, std::size_t used);

private:
    static constexpr std::size_t kMost = 32;
    struct Shelf {
        std::array<Block, kMost> blocks;
        std::size_t count = 0;
    };
    static Shelf& shelf();
};

}  // namespace sallyport
