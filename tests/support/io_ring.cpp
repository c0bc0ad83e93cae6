#include "tests/support/io_ring.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace sallyport::test {
namespace {

constexpr unsigned kEntries = 8;
constexpr int kPatienceMs = 200;

template <class T>
T* shared(int fd, std::size_t size, std::uint64_t offset) {
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
    return at == MAP_FAILED ? nullptr : static_cast<T*>(at);
}

std::size_t rings_size(const io_uring_params& params) {
    return std::max(params.sq_off.array + params.sq_entries * sizeof(std::uint32_t),
                    params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe));
}

}  // namespace

IoRing::IoRing(std::uint32_t flags) {
    params_.flags = flags;
    fd_ = UniqueFd(static_cast<int>(::syscall(SYS_io_uring_setup, kEntries, &params_)));
    if (!fd_) return;
    rings_ = shared<char>(fd_.get(), rings_size(params_), IORING_OFF_SQ_RING);  // since 5.4 both rings are one mapping
    if (rings_) entries_ = shared<io_uring_sqe>(fd_.get(), params_.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES);
}

IoRing::~IoRing() {
    if (entries_) ::munmap(entries_, params_.sq_entries * sizeof(io_uring_sqe));
    if (rings_) ::munmap(rings_, rings_size(params_));
}

std::optional<int> IoRing::run(const io_uring_sqe& operation) {
    const auto slot = submitted_ % kEntries;
    entries_[slot] = operation;
    reinterpret_cast<std::uint32_t*>(rings_ + params_.sq_off.array)[slot] = slot;
    __atomic_store_n(reinterpret_cast<std::uint32_t*>(rings_ + params_.sq_off.tail), ++submitted_, __ATOMIC_RELEASE);
    const auto flags = params_.flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0u;
    if (::syscall(SYS_io_uring_enter, fd_.get(), 1, 0, flags, nullptr, 0) < 0) return std::nullopt;
    pollfd done{fd_.get(), POLLIN, 0};
    if (::poll(&done, 1, kPatienceMs) != 1) return std::nullopt;
    auto* head = reinterpret_cast<std::uint32_t*>(rings_ + params_.cq_off.head);
    const auto& completion = reinterpret_cast<io_uring_cqe*>(rings_ + params_.cq_off.cqes)[*head % params_.cq_entries];
    const int result = completion.res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return result;
}

}  // namespace sallyport::test
