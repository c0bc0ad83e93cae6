#pragma once
// What the namespace's rules rejected, from the kernel's log into ours.

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "gateway/audit/audit.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::app {

class PacketAudit {
public:
    /// `packet_log` is GatewaySockets::packet_log. Reports until destroyed; `audit` must outlive it.
    PacketAudit(boost::asio::io_context&, UniqueFd packet_log, audit::Audit& audit);

    /// Takes what is waiting now; for the end of a run.
    void drain();

private:
    void wait();

    boost::asio::posix::stream_descriptor log_;
    audit::Audit& audit_;
};

}  // namespace sallyport::app
