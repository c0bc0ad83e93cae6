#pragma once
// Memory that runs out where a test wants it to.

#include <cstddef>

namespace sallyport::test {

/// While it lives, allocations of exactly `size` bytes throw std::bad_alloc, on every thread, but for the first
/// `spared`.
class FailingMemory {
public:
    FailingMemory(std::size_t size, int spared);
    ~FailingMemory();
    FailingMemory(const FailingMemory&) = delete;
    FailingMemory& operator=(const FailingMemory&) = delete;

    static int failures();
};

}  // namespace sallyport::test
