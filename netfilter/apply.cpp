#include "netfilter/apply.hpp"

#include "gateway/base/startup_error.hpp"
#include "netfilter/nft_encode.hpp"
#include "netfilter/nft_socket.hpp"

namespace sallyport::netfilter {

void apply(const Ruleset& ruleset) {
    NftSocket socket;
    socket.commit(encode_replace(ruleset));
    for (const auto& table : ruleset)
        if (!socket.has_table(table))
            throw StartupError("the kernel took the firewall, but has no table " + table.name);
}

void remove(const Ruleset& ruleset) {
    NftSocket socket;
    socket.commit(encode_remove(ruleset));
    for (const auto& table : ruleset)
        if (socket.has_table(table)) throw StartupError("the kernel still has the table " + table.name);
}

}  // namespace sallyport::netfilter
