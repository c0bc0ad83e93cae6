#pragma once
// An outside in miniature for the real sallyport: a network namespace with an uplink `up0` and default routes, services
// on its loopback addresses, and a wire whose far end we record. What counts is what was recorded there, never what a
// program in the sandbox says. Nothing of the machine changes.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/base/unique_fd.hpp"

namespace sallyport::test {

/// The IPv4 address 198.51.100.`number`, as bytes. Each attack aims at one of its own, in the header or in its data
/// (IPv6: in the low bits of the address), so that a recorded frame says which attack it comes from.
std::string marker(std::uint8_t number);

/// Ethernet frames as they arrived at the far end.
struct Recording {
    std::vector<std::string> frames;

    bool saw(std::uint8_t number) const;
    /// "udp 203.0.113.53:53", "tcp [2001:db8::1]:443", "ip protocol 132 to 198.51.100.4", "ethertype 0x88b5": for each
    /// frame, in order.
    std::vector<std::string> destinations() const;
};

struct Launch {
    std::vector<std::string> command;  ///< [0] is an absolute path
    std::vector<std::string> environment;
    std::string directory = "/";
    bool as_nobody = false;             ///< needs root
    std::function<void()> before = {};  ///< runs in the child, outside, just before the command
};

/// A process outside (sallyport, or an attack without it), killed and reaped at the latest in the destructor.
class Running {
public:
    Running(pid_t pid, UniqueFd output) : pid_(pid), output_(std::move(output)) {}
    Running(Running&&) = delete;
    ~Running();

    pid_t pid() const { return pid_; }
    /// The next line of output or error; "" at the end. Throws std::runtime_error after fifteen silent seconds.
    std::string read_line();
    /// The rest: until nobody holds the other end, so until the last process of the sandbox has gone.
    std::string read_all();
    /// read_all(); throws std::runtime_error with the output unless it exited with 0.
    std::string finish();

private:
    bool read_more();

    pid_t pid_;
    UniqueFd output_;
    std::string buffer_;
};

class Outside {
public:
    static constexpr const char* kAddress = "203.0.113.1";
    static constexpr std::uint16_t kServicePort = 7777;  ///< TCP and UDP on 127.0.0.1 and kAddress, TCP on ::1

    /// Null where namespaces cannot be had: said, and failed where CI is set.
    static std::unique_ptr<Outside> create();

    std::unique_ptr<Running> start(const Launch& launch) const;
    /// A socket that `make` opens in the outside's namespaces.
    UniqueFd open(const std::function<UniqueFd()>& make) const;
    /// UDP, at the far end, under the address that the outside's resolv.conf names.
    UniqueFd take_name_server() { return std::move(name_server_); }

    /// What has arrived since the last call. Left out: address resolution and multicast membership, which the kernel
    /// sends by itself. Throws std::runtime_error when the recorder had to drop frames.
    Recording recorded();
    /// The services that somebody connected to, or sent something, since the last call.
    std::vector<std::string> visited();

private:
    struct Service {
        std::string name;
        UniqueFd socket;
    };

    UniqueFd user_, net_, mount_;
    UniqueFd recorder_, name_server_;
    std::vector<Service> services_;
};

}  // namespace sallyport::test
