#include "gateway/dns/virtual_addresses.hpp"

#include <algorithm>

namespace sallyport::dns {
namespace {

constexpr std::uint32_t kPool = 198u << 24 | 18u << 16;
constexpr std::uint32_t kHostsPerBlock = 254;
constexpr std::uint32_t kBlocks = 510;  // 198.18.0.x is left out (its .1 is the sandbox's own), and so is 198.19.255.x
constexpr std::uint32_t kSlots = kBlocks * kHostsPerBlock;

IpAddress slot_address(std::uint32_t slot) {
    const std::uint32_t address = kPool + ((slot / kHostsPerBlock + 1) << 8) + slot % kHostsPerBlock + 1;
    return IpAddress::v4({static_cast<std::uint8_t>(address >> 24), static_cast<std::uint8_t>(address >> 16),
                          static_cast<std::uint8_t>(address >> 8), static_cast<std::uint8_t>(address)});
}

std::optional<std::uint32_t> address_slot(const IpAddress& address) {
    if (!VirtualAddresses::in_pool(address)) return std::nullopt;
    const auto& bytes = address.bytes();
    const std::uint32_t block = (bytes[1] - 18u) << 8 | bytes[2];
    const std::uint32_t host = bytes[3];
    if (block < 1 || block > kBlocks || host < 1 || host > kHostsPerBlock) return std::nullopt;
    return (block - 1) * kHostsPerBlock + host - 1;
}

/// FNV-1a: the same in every build, unlike std::hash.
std::uint32_t preferred_slot(std::string_view name) {
    std::uint32_t hash = 2166136261u;
    for (const char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619u;
    return hash % kSlots;
}

}  // namespace

// Four slots in ten stay free at least, so the search for one below always ends, and soon.
VirtualAddresses::VirtualAddresses(std::size_t max_names) : max_names_(std::min<std::size_t>(max_names, kMaxNames)) {
    static_assert(kMaxNames <= kSlots * 6 / 10);
}

std::optional<IpAddress> VirtualAddresses::address_of(std::string_view name) {
    const std::lock_guard lock(mutex_);
    if (const auto known = slots_.find(std::string(name)); known != slots_.end()) return slot_address(known->second);
    if (slots_.size() >= max_names_) return std::nullopt;
    auto slot = preferred_slot(name);
    while (names_.contains(slot)) slot = (slot + 1) % kSlots;
    names_.emplace(slot, &slots_.emplace(name, slot).first->first);
    return slot_address(slot);
}

std::optional<std::string> VirtualAddresses::name_of(const IpAddress& address) const {
    const auto slot = address_slot(address);
    if (!slot) return std::nullopt;
    const std::lock_guard lock(mutex_);
    const auto name = names_.find(*slot);
    return name != names_.end() ? std::optional(*name->second) : std::nullopt;
}

bool VirtualAddresses::in_pool(const IpAddress& address) {
    return address.in_network(IpAddress::v4({198, 18, 0, 0}), 15);
}

}  // namespace sallyport::dns
