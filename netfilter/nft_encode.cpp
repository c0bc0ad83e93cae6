#include "netfilter/nft_encode.hpp"

#include <libmnl/libmnl.h>
#include <libnftnl/batch.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <array>
#include <memory>
#include <new>
#include <utility>

#include "netfilter/nft_expressions.hpp"

namespace sallyport::netfilter {
namespace {

struct NftnlFree {
    void operator()(nftnl_table* table) const { nftnl_table_free(table); }
    void operator()(nftnl_chain* chain) const { nftnl_chain_free(chain); }
    void operator()(nftnl_rule* rule) const { nftnl_rule_free(rule); }
};

template <class T>
std::unique_ptr<T, NftnlFree> own(T* object) {
    if (!object) throw std::bad_alloc();
    return std::unique_ptr<T, NftnlFree>(object);
}

class BatchWriter {
public:
    template <class Build>
    void message(std::uint16_t type, std::uint16_t family, std::uint16_t flags, std::string step, Build build) {
        auto* header = nftnl_nlmsg_build_hdr(buffer_.data(), type, family, flags | NLM_F_ACK, sequence());
        build(header);
        append(header, std::move(step));
    }
    void frame(nlmsghdr* (*build)(char*, std::uint32_t), const char* step) {
        append(build(buffer_.data(), sequence()), step);
    }
    Batch finish() { return std::move(batch_); }

private:
    std::uint32_t sequence() const { return static_cast<std::uint32_t>(batch_.steps.size()); }
    void append(const nlmsghdr* header, std::string step) {
        const auto* bytes = reinterpret_cast<const std::byte*>(header);
        batch_.bytes.insert(batch_.bytes.end(), bytes, bytes + NLMSG_ALIGN(header->nlmsg_len));
        batch_.steps.push_back(std::move(step));
    }

    alignas(nlmsghdr) std::array<char, 8192> buffer_{};  // one message; the longest rule takes less than a tenth
    Batch batch_;
};

/// The messages of one table.
class TableWriter {
public:
    TableWriter(BatchWriter& out, const Table& table) : out_(out), table_(table) {}

    void table(std::uint16_t type, std::uint16_t flags, const char* verb) const {
        const auto nft_table = own(nftnl_table_alloc());
        nftnl_table_set_str(nft_table.get(), NFTNL_TABLE_NAME, table_.name.c_str());
        out_.message(type, family(), flags, std::string(verb) + " table " + table_.name,
                     [&](nlmsghdr* header) { nftnl_table_nlmsg_build_payload(header, nft_table.get()); });
    }

    /// Only what exists can be deleted.
    void none() const {
        table(NFT_MSG_NEWTABLE, NLM_F_CREATE, "add");
        table(NFT_MSG_DELTABLE, 0, "delete");
    }

    void chain(const Chain& chain) const {
        const auto nft_chain = own(nftnl_chain_alloc());
        nftnl_chain_set_str(nft_chain.get(), NFTNL_CHAIN_TABLE, table_.name.c_str());
        nftnl_chain_set_str(nft_chain.get(), NFTNL_CHAIN_NAME, chain.name.c_str());
        if (chain.base) set_base(nft_chain.get(), *chain.base);
        out_.message(NFT_MSG_NEWCHAIN, family(), NLM_F_CREATE, "chain " + chain.name,
                     [&](nlmsghdr* header) { nftnl_chain_nlmsg_build_payload(header, nft_chain.get()); });
    }

    void rule(const Chain& chain, const Rule& rule) const {
        const auto nft_rule = own(nftnl_rule_alloc());
        nftnl_rule_set_str(nft_rule.get(), NFTNL_RULE_TABLE, table_.name.c_str());
        nftnl_rule_set_str(nft_rule.get(), NFTNL_RULE_CHAIN, chain.name.c_str());
        add_expressions(nft_rule.get(), rule);
        out_.message(NFT_MSG_NEWRULE, family(), NLM_F_CREATE | NLM_F_APPEND,
                     "rule \"" + to_string(rule) + "\" of chain " + chain.name,
                     [&](nlmsghdr* header) { nftnl_rule_nlmsg_build_payload(header, nft_rule.get()); });
    }

private:
    std::uint16_t family() const { return table_.family == Family::inet ? NFPROTO_INET : NFPROTO_NETDEV; }

    static void set_base(nftnl_chain* chain, const Base& base) {
        static constexpr std::uint32_t kHooks[] = {NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN,     NF_INET_FORWARD,
                                                   NF_INET_LOCAL_OUT,   NF_INET_POST_ROUTING, NF_NETDEV_EGRESS};
        nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, base.type == ChainType::nat ? "nat" : "filter");
        nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, kHooks[static_cast<int>(base.hook)]);
        nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, base.priority);
        nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, base.policy == Policy::drop ? NF_DROP : NF_ACCEPT);
        if (base.devices.empty()) return;
        std::vector<const char*> names;
        for (const auto& device : base.devices) names.push_back(device.c_str());
        names.push_back(nullptr);
        nftnl_chain_set_array(chain, NFTNL_CHAIN_DEVICES, names.data());
    }

    BatchWriter& out_;
    const Table& table_;
};

}  // namespace

Batch encode_replace(const Ruleset& ruleset) {
    BatchWriter out;
    out.frame(nftnl_batch_begin, "begin of the batch");
    for (const auto& table : ruleset) {
        const TableWriter write(out, table);
        write.none();
        write.table(NFT_MSG_NEWTABLE, NLM_F_CREATE, "add");
        for (const auto& chain : table.chains) write.chain(chain);  // all before the first rule, which may name one
        for (const auto& chain : table.chains)
            for (const auto& rule : chain.rules) write.rule(chain, rule);
    }
    out.frame(nftnl_batch_end, "end of the batch");
    return out.finish();
}

Batch encode_remove(const Ruleset& ruleset) {
    BatchWriter out;
    out.frame(nftnl_batch_begin, "begin of the batch");
    for (const auto& table : ruleset) TableWriter(out, table).none();
    out.frame(nftnl_batch_end, "end of the batch");
    return out.finish();
}

}  // namespace sallyport::netfilter
