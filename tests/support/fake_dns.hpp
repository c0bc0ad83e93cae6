#pragma once
// A name server on loopback that answers what a test told it: UDP, one io_context, no recursion.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gateway/base/endpoint.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::testing {

/// Unknown names do not exist (NXDOMAIN). Must outlive the io_context's run.
class FakeDns {
public:
    explicit FakeDns(boost::asio::io_context&);
    /// On a UDP socket of IPv4 that is bound already.
    FakeDns(boost::asio::io_context&, UniqueFd socket);

    /// "127.0.0.1:PORT", as Resolver takes it.
    std::string where() const;
    void address(const std::string& name, const std::string& text, std::uint32_t ttl = 60);
    void alias(const std::string& name, const std::string& target);
    /// Questions for it are counted and never answered.
    void silence(const std::string& name) { silent_.insert(name); }
    /// How often `name` was asked for, all types together.
    int questions(const std::string& name) const;
    int questions() const { return total_; }
    /// Every name that was asked for, and how often.
    const std::map<std::string, int>& asked() const { return asked_; }

private:
    struct Record {
        std::uint16_t type;
        std::uint32_t ttl;
        std::string data;
    };

    void receive();
    std::string answer(std::string_view query);
    void append(std::string& message, std::uint16_t& count, const std::string& name, std::uint16_t type) const;

    boost::asio::ip::udp::socket socket_;
    boost::asio::ip::udp::endpoint sender_;
    std::array<char, 1500> buffer_{};
    std::map<std::string, std::vector<Record>> zone_;
    std::map<std::string, std::string> aliases_;
    std::set<std::string> silent_;
    std::map<std::string, int> asked_;
    int total_ = 0;
};

}  // namespace sallyport::testing
