#include "tests/support/xdp_sender.hpp"

#include <linux/if_xdp.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>

#include "gateway/base/unique_fd.hpp"

namespace sallyport::test {
namespace {

constexpr int kFamily = 44, kLevel = 283;  // AF_XDP, SOL_XDP
constexpr std::size_t kChunk = 4096, kMemory = 2 * kChunk;
constexpr std::uint32_t kEntries = 2;

/// Shared with the kernel, or null.
class Mapping {
public:
    Mapping(int fd, std::size_t size, std::uint64_t offset)
        : size_(size),
          at_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, (fd < 0 ? MAP_ANONYMOUS : 0) | MAP_SHARED, fd,
                     static_cast<off_t>(offset))) {}
    ~Mapping() {
        if (*this) ::munmap(at_, size_);
    }
    Mapping(const Mapping&) = delete;
    explicit operator bool() const { return at_ != MAP_FAILED; }
    char* bytes() const { return static_cast<char*>(at_); }

private:
    std::size_t size_;
    void* at_;
};

template <class T>
bool set(const UniqueFd& fd, int option, const T& value) {
    return ::setsockopt(fd.get(), kLevel, option, &value, sizeof value) == 0;
}

bool give_memory(const UniqueFd& fd, const Mapping& memory) {
    xdp_umem_reg region{};
    region.addr = reinterpret_cast<std::uintptr_t>(memory.bytes());
    region.len = kMemory;
    region.chunk_size = kChunk;
    return set(fd, XDP_UMEM_REG, region) && set(fd, XDP_UMEM_FILL_RING, kEntries) &&
           set(fd, XDP_UMEM_COMPLETION_RING, kEntries) && set(fd, XDP_TX_RING, kEntries);
}

bool bind_to(const UniqueFd& fd, const std::string& interface) {
    sockaddr_xdp at{};
    at.sxdp_family = kFamily;
    at.sxdp_flags = XDP_COPY;
    at.sxdp_ifindex = ::if_nametoindex(interface.c_str());
    return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
}

}  // namespace

bool send_by_xdp(const std::string& interface, const std::string& frame) {
    const UniqueFd fd(::socket(kFamily, SOCK_RAW | SOCK_CLOEXEC, 0));
    const Mapping memory(-1, kMemory, 0);
    xdp_mmap_offsets offsets{};
    socklen_t size = sizeof offsets;
    if (!fd || !memory || !give_memory(fd, memory) ||
        ::getsockopt(fd.get(), kLevel, XDP_MMAP_OFFSETS, &offsets, &size) != 0)
        return false;
    const Mapping ring(fd.get(), offsets.tx.desc + kEntries * sizeof(xdp_desc), XDP_PGOFF_TX_RING);
    if (!ring || !bind_to(fd, interface)) return false;
    frame.copy(memory.bytes(), frame.size());
    *reinterpret_cast<xdp_desc*>(ring.bytes() + offsets.tx.desc) = {0, static_cast<std::uint32_t>(frame.size()), 0};
    __atomic_store_n(reinterpret_cast<std::uint32_t*>(ring.bytes() + offsets.tx.producer), 1u, __ATOMIC_RELEASE);
    return ::sendto(fd.get(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0;
}

}  // namespace sallyport::test
