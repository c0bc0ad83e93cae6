#include "gateway/app/packet_audit.hpp"

#include "netfilter/packet_log.hpp"

namespace sallyport::app {
namespace {

std::string destination(const netfilter::PacketReport& report) {
    if (report.destination_port) return Endpoint{report.destination, *report.destination_port}.to_string();
    return report.destination.to_string();
}

}  // namespace

PacketAudit::PacketAudit(boost::asio::io_context& io, UniqueFd packet_log, audit::Audit& audit)
    : log_(io, packet_log.release()), audit_(audit) {
    wait();
}

void PacketAudit::wait() {
    log_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& ec) {
        if (ec) return;
        drain();
        wait();
    });
}

void PacketAudit::drain() {
    for (const auto& report : netfilter::read_packet_log(log_.native_handle())) {
        audit::PacketEvent event;
        event.packet_class = report.prefix;
        event.destination = destination(report);
        audit_.record(std::move(event));
    }
}

}  // namespace sallyport::app
