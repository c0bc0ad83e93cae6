// The linker leads every call of operator new here (--wrap, see CMakeLists.txt), sanitizers or not, but for those in
// shared libraries.
#include "tests/net/failing_memory.hpp"

#include <atomic>
#include <new>

namespace {

std::atomic<std::size_t> failing_size = 0;
std::atomic<int> left = 0;
std::atomic<int> failed = 0;

}  // namespace

extern "C" void* __real__Znwm(std::size_t size);
extern "C" void* __wrap__Znwm(std::size_t size);

extern "C" void* __wrap__Znwm(std::size_t size) {
    if (size != failing_size || left-- > 0) return __real__Znwm(size);
    ++failed;
    throw std::bad_alloc();
}

namespace sallyport::test {

FailingMemory::FailingMemory(std::size_t size, int spared) {
    left = spared;
    failed = 0;
    failing_size = size;
}

FailingMemory::~FailingMemory() { failing_size = 0; }

int FailingMemory::failures() { return failed; }

}  // namespace sallyport::test
