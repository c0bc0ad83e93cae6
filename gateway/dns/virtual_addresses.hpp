#pragma once
// Addresses that stand for names. The sandbox's DNS answers hand them out, and a connection to one names its host
// again, for protocols that do not say it themselves (ssh, PostgreSQL).

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "gateway/base/endpoint.hpp"

namespace sallyport::dns {

/// Addresses out of 198.18.0.0/15 (RFC 2544: never routed), from 198.18.1.1 on; last byte neither 0 nor 255. One
/// address a name for the life of the object. The address is chosen by the name, so that after a restart of the
/// gateway an address that a client remembers means the same name, or nothing, and hardly ever another one.
/// Thread-safe.
class VirtualAddresses {
public:
    static constexpr std::size_t kMaxNames = 65'536;

    explicit VirtualAddresses(std::size_t max_names = kMaxNames);

    /// `name` is canonical (policy::canonical_host). nullopt: the name is new and there is no room for another.
    std::optional<IpAddress> address_of(std::string_view name);
    /// The name whose address this is; nullopt for any other address.
    std::optional<std::string> name_of(const IpAddress& address) const;
    /// In 198.18.0.0/15, handed out or not: nothing outside is ever to be dialled there.
    static bool in_pool(const IpAddress& address);

private:
    const std::size_t max_names_;
    mutable std::mutex mutex_;
    std::unordered_map<std::string, std::uint32_t> slots_;         ///< name -> the place of its address
    std::unordered_map<std::uint32_t, const std::string*> names_;  ///< and back: keys of slots_ stay where they are
};

}  // namespace sallyport::dns
