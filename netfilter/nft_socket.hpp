#pragma once
// One netlink socket to nf_tables.

#include <libmnl/libmnl.h>

#include <memory>
#include <string>

#include "netfilter/nft_encode.hpp"

namespace sallyport::netfilter {

/// Speaks to the network namespace in which it was constructed. Never blocks on an answer: the kernel works on a
/// request inside send(2), so whatever it has to say is in the queue when that returns.
class NftSocket {
public:
    NftSocket();  ///< throws StartupError

    /// Sends the batch and reads every acknowledgement. Throws StartupError naming the first step that failed; the
    /// kernel has then changed nothing.
    void commit(const Batch& batch);
    /// Whether a table of that family and name exists. Throws StartupError when the kernel gives no answer.
    bool has_table(const Table& wanted);

private:
    void send(const void* bytes, std::size_t length);

    struct Close {
        void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
    };
    std::unique_ptr<mnl_socket, Close> socket_;
};

}  // namespace sallyport::netfilter
