#include "tests/support/fake_dns.hpp"

#include <arpa/inet.h>

#include <boost/asio/buffer.hpp>
#include <stdexcept>

namespace sallyport::testing {
namespace {

constexpr std::uint16_t kA = 1, kCname = 5, kAaaa = 28;
constexpr std::size_t kHeader = 12;

std::string u16(std::uint16_t value) { return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)}; }

std::string u32(std::uint32_t value) {
    return u16(static_cast<std::uint16_t>(value >> 16)) + u16(static_cast<std::uint16_t>(value & 0xffff));
}

std::string encoded(const std::string& name) {
    std::string wire;
    for (std::size_t start = 0; start <= name.size();) {
        const auto end = std::min(name.find('.', start), name.size());
        wire += static_cast<char>(end - start) + name.substr(start, end - start);
        start = end + 1;
    }
    return wire + '\0';
}

}  // namespace

FakeDns::FakeDns(boost::asio::io_context& io)
    : socket_(io, boost::asio::ip::udp::endpoint(boost::asio::ip::address_v4::loopback(), 0)) {
    receive();
}

FakeDns::FakeDns(boost::asio::io_context& io, UniqueFd socket)
    : socket_(io, boost::asio::ip::udp::v4(), socket.release()) {
    receive();
}

std::string FakeDns::where() const { return "127.0.0.1:" + std::to_string(socket_.local_endpoint().port()); }

void FakeDns::address(const std::string& name, const std::string& text, std::uint32_t ttl) {
    const bool v6 = text.find(':') != std::string::npos;  // to the letter: a v4-mapped one is an AAAA record
    std::string data(v6 ? 16 : 4, '\0');
    if (::inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), data.data()) != 1)
        throw std::runtime_error("no address: " + text);
    zone_[name].push_back({v6 ? kAaaa : kA, ttl, std::move(data)});
}

void FakeDns::alias(const std::string& name, const std::string& target) { aliases_[name] = target; }

int FakeDns::questions(const std::string& name) const {
    const auto found = asked_.find(name);
    return found == asked_.end() ? 0 : found->second;
}

void FakeDns::receive() {
    socket_.async_receive_from(boost::asio::buffer(buffer_), sender_, [this](const auto& ec, std::size_t size) {
        if (ec == boost::asio::error::operation_aborted) return;
        if (!ec) {
            const std::string reply = answer({buffer_.data(), size});
            boost::system::error_code ignored;
            if (!reply.empty()) socket_.send_to(boost::asio::buffer(reply), sender_, 0, ignored);
        }
        receive();
    });
}

std::string FakeDns::answer(std::string_view query) {
    std::string name;
    std::size_t at = kHeader;
    while (at < query.size() && query[at] != 0) {
        const auto length = static_cast<std::size_t>(query[at]);
        name += (name.empty() ? "" : ".") + std::string(query.substr(at + 1, length));
        at += 1 + length;
    }
    const auto type = static_cast<std::uint16_t>(query[at + 2]);
    ++asked_[name];
    ++total_;
    if (silent_.contains(name)) return {};

    std::string records;
    std::uint16_t count = 0;
    append(records, count, name, type);
    const bool exists = zone_.contains(name) || aliases_.contains(name);
    const std::string question(query.substr(kHeader, at + 5 - kHeader));
    return std::string(query.substr(0, 2)) + u16(exists ? 0x8180 : 0x8183) + u16(1) + u16(count) + u32(0) + question +
           records;
}

void FakeDns::append(std::string& message, std::uint16_t& count, const std::string& name, std::uint16_t type) const {
    const auto add = [&](const std::string& owner, const Record& record) {
        message += encoded(owner) + u16(record.type) + u16(1) + u32(record.ttl) +
                   u16(static_cast<std::uint16_t>(record.data.size())) + record.data;
        ++count;
    };
    std::string owner = name;
    for (int hops = 0; hops < 8 && aliases_.contains(owner); ++hops) {
        add(owner, {kCname, 60, encoded(aliases_.at(owner))});
        owner = aliases_.at(owner);
    }
    if (const auto found = zone_.find(owner); found != zone_.end())
        for (const auto& record : found->second)
            if (record.type == type) add(owner, record);
}

}  // namespace sallyport::testing
