#include "gateway/app/doctor/proc_net.hpp"

#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <sstream>
#include <string>

#include "container/files.hpp"

namespace sallyport::doctor {
namespace {

template <class T>
std::optional<T> hex(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// "0100007F:3A98": words of 32 bits as the kernel holds them, printed as numbers; the port as a number.
std::optional<Endpoint> endpoint(std::string_view text) {
    constexpr std::size_t kWord = 8;
    const auto colon = text.find(':');
    if (colon != kWord && colon != 4 * kWord) return std::nullopt;
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t at = 0; at < colon; at += kWord) {
        const auto word = hex<std::uint32_t>(text.substr(at, kWord));
        if (!word) return std::nullopt;
        std::memcpy(bytes.data() + at / 2, &*word, sizeof *word);
    }
    const auto port = hex<std::uint16_t>(text.substr(colon + 1));
    if (!port) return std::nullopt;
    const auto address =
        colon == kWord ? IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]}) : IpAddress::v6(bytes);
    return Endpoint{address, *port};
}

}  // namespace

std::vector<ProcSocket> parse_proc_net(std::string_view text) {
    std::vector<ProcSocket> sockets;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string number, local, remote, waste;
        uid_t owner = 0;
        words >> number >> local >> remote >> waste >> waste >> waste >> waste >> owner;
        const auto here = endpoint(local);
        const auto there = endpoint(remote);
        if (here && there && words) sockets.push_back({*here, *there, owner});
    }
    return sockets;
}

std::vector<ProcSocket> read_proc_net(std::initializer_list<const char*> files) {
    std::vector<ProcSocket> all;
    for (const auto* file : files) {
        const auto some = parse_proc_net(container::read_file("/proc/net/" + std::string(file)).value_or(""));
        all.insert(all.end(), some.begin(), some.end());
    }
    return all;
}

}  // namespace sallyport::doctor
