#pragma once
// Names to addresses: c-ares driven by Asio, with /etc/hosts and the servers of /etc/resolv.conf.
//
// One for each io_context, on its thread. Questions for one name that come together are asked once; answers are kept
// for their time to live (5 to 300 seconds), failures for 2 seconds. A question itself cannot be taken back in c-ares:
// when nobody waits for it any more it runs to its end, counts against kMaxPending, and its answer is still kept.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "gateway/base/endpoint.hpp"
#include "gateway/base/result.hpp"
#include "gateway/net/lifeline.hpp"

namespace sallyport::net {

class Resolver {
public:
    static constexpr std::chrono::seconds kTimeLimit{10};
    static constexpr std::size_t kMaxPending = 1024;
    static constexpr std::size_t kMaxCached = 4096;
    static constexpr std::size_t kMaxAddresses = 16;

    /// `servers`: "127.0.0.1:5353,..."; empty: those of /etc/resolv.conf. Names without a dot, such as Docker gives to
    /// its containers, are asked of `local_servers`; empty: of those of /etc/resolv.conf. Throws StartupError.
    explicit Resolver(const boost::asio::any_io_executor&, const std::string& servers = {},
                      const std::string& local_servers = {});
    /// Whoever still waits gets ErrorKind::cancelled, whenever the io_context runs next.
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// At least one and at most kMaxAddresses addresses, in the order to try them: families alternate, the one that
    /// RFC 6724 prefers on this machine first (RFC 8305, 4). `name` is absolute: no search domain is ever added.
    /// Ends at `deadline` or after kTimeLimit (timed_out), or with the lifeline.
    /// ErrorKind::unresolved: no such name, no address, or a name server that fails. ErrorKind::too_large: kMaxPending.
    boost::asio::awaitable<Result<std::vector<IpAddress>>> resolve(std::string name, Lifeline&,
                                                                   Clock::time_point deadline);

private:
    class Channel;
    std::shared_ptr<Channel> channel_;
    std::shared_ptr<Channel> local_;
};

}  // namespace sallyport::net
