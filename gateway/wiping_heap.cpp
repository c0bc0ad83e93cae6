// The program's own heap: linked into sallyport, and not where a sanitizer brings a heap that checks who frees what.
#include "gateway/wiping_heap.hpp"

#include <openssl/crypto.h>

#include <cstddef>
#include <cstdlib>
#include <new>

#include "gateway/base/wiped_memory.hpp"

// The standard library's other forms end in these ([new.delete]). How large the block is, the heap knows best.
void operator delete(void* block) noexcept { sallyport::wipe_and_free(block); }
void operator delete(void* block, std::size_t) noexcept { sallyport::wipe_and_free(block); }
void operator delete(void* block, std::align_val_t) noexcept { sallyport::wipe_and_free(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { sallyport::wipe_and_free(block); }

namespace sallyport {

void make_openssl_wipe() {
    CRYPTO_set_mem_functions(
        [](std::size_t size, const char*, int) { return std::malloc(size); },
        [](void* block, std::size_t size, const char*, int) { return wiping_realloc(block, size); },
        [](void* block, const char*, int) { wipe_and_free(block); });
}

}  // namespace sallyport
