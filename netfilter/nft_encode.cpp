#include "netfilter/nft_encode.hpp"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/batch.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>

#include <array>
#include <memory>
#include <new>
#include <utility>

namespace sallyport::netfilter {
namespace {

constexpr std::uint32_t kLoopbackIndex = 1;  // LOOPBACK_IFINDEX of net/flow.h: the same in every namespace

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

/// Appends expressions to one rule. Every match loads into register 1 and compares there.
class ExpressionWriter {
public:
    explicit ExpressionWriter(nftnl_rule* rule) : rule_(rule) {}

    void operator()(FamilyIsIpv6) const { match_meta<std::uint8_t>(NFT_META_NFPROTO, NFPROTO_IPV6); }
    void operator()(FromLoopback) const { match_meta<std::uint32_t>(NFT_META_IIF, kLoopbackIndex); }
    void operator()(LocalDestination) const {
        auto* fib = add("fib");
        nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
        nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
        nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
        compare<std::uint32_t>(RTN_LOCAL);
    }
    void operator()(NotRedirected) const {
        auto* ct = add("ct");
        nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_DREG, NFT_REG_1);
        nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_KEY, NFT_CT_STATUS);
        constexpr std::uint32_t kMask = IPS_DST_NAT;
        constexpr std::uint32_t kZero = 0;
        auto* bitwise = add("bitwise");
        nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
        nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
        nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_LEN, sizeof kMask);
        nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_MASK, &kMask, sizeof kMask);
        nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_XOR, &kZero, sizeof kZero);
        compare<std::uint32_t>(0);
    }
    void operator()(Protocol protocol) const { match_meta<std::uint8_t>(NFT_META_L4PROTO, protocol.number); }
    void operator()(DestinationPort destination) const {
        (*this)(Protocol{destination.protocol});
        auto* payload = add("payload");
        nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
        nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
        nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, 2);
        nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, sizeof destination.port);
        compare<std::uint16_t>(htons(destination.port));
    }
    void operator()(Limit limit) const {
        auto* expression = add("limit");
        nftnl_expr_set_u64(expression, NFTNL_EXPR_LIMIT_RATE, limit.per_second);
        nftnl_expr_set_u64(expression, NFTNL_EXPR_LIMIT_UNIT, 1);  // seconds
        nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_BURST, limit.burst);
        nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
    }
    void operator()(const Log& log) const {
        auto* expression = add("log");
        nftnl_expr_set_str(expression, NFTNL_EXPR_LOG_PREFIX, log.prefix.c_str());
        nftnl_expr_set_u16(expression, NFTNL_EXPR_LOG_GROUP, log.group);
        nftnl_expr_set_u32(expression, NFTNL_EXPR_LOG_SNAPLEN, kLogSnapLength);
    }
    void operator()(Redirect redirect) const {
        const std::uint16_t port = htons(redirect.port);
        auto* immediate = add("immediate");
        nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
        nftnl_expr_set(immediate, NFTNL_EXPR_IMM_DATA, &port, sizeof port);
        nftnl_expr_set_u32(add("redir"), NFTNL_EXPR_REDIR_REG_PROTO_MIN, NFT_REG_1);
    }
    void operator()(Reject answer) const {
        const bool reset = answer == Reject::tcp_reset;
        auto* reject = add("reject");
        nftnl_expr_set_u32(reject, NFTNL_EXPR_REJECT_TYPE, reset ? NFT_REJECT_TCP_RST : NFT_REJECT_ICMPX_UNREACH);
        nftnl_expr_set_u8(reject, NFTNL_EXPR_REJECT_CODE, reset ? 0 : NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
    }
    void operator()(Accept) const {
        auto* immediate = add("immediate");
        nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
        nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, NF_ACCEPT);
    }

private:
    nftnl_expr* add(const char* name) const {
        auto* expression = nftnl_expr_alloc(name);
        if (!expression) throw std::bad_alloc();
        nftnl_rule_add_expr(rule_, expression);  // the rule owns it from here
        return expression;
    }
    template <class T>
    void compare(T value) const {
        auto* cmp = add("cmp");
        nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
        nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
        nftnl_expr_set(cmp, NFTNL_EXPR_CMP_DATA, &value, sizeof value);
    }
    template <class T>
    void match_meta(std::uint32_t key, T value) const {
        auto* meta = add("meta");
        nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
        nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, NFT_REG_1);
        compare(value);
    }

    nftnl_rule* rule_;
};

class BatchWriter {
public:
    template <class Build>
    void message(std::uint16_t type, std::uint16_t flags, std::string step, Build build) {
        auto* header = nftnl_nlmsg_build_hdr(buffer_.data(), type, NFPROTO_INET, flags | NLM_F_ACK, sequence());
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

void write_table(BatchWriter& out, std::uint16_t type, std::uint16_t flags, const std::string& name, const char* verb) {
    const auto table = own(nftnl_table_alloc());
    nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, name.c_str());
    out.message(type, flags, std::string(verb) + " table " + name,
                [&](nlmsghdr* header) { nftnl_table_nlmsg_build_payload(header, table.get()); });
}

void write_chain(BatchWriter& out, const std::string& table, const Chain& chain) {
    static constexpr std::uint32_t kHooks[] = {NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT};
    const auto nft_chain = own(nftnl_chain_alloc());
    auto* c = nft_chain.get();
    nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, table.c_str());
    nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, chain.name.c_str());
    nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, chain.type == ChainType::nat ? "nat" : "filter");
    nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, kHooks[static_cast<int>(chain.hook)]);
    nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, chain.priority);
    nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, chain.policy == Policy::drop ? NF_DROP : NF_ACCEPT);
    out.message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, "chain " + chain.name,
                [&](nlmsghdr* header) { nftnl_chain_nlmsg_build_payload(header, c); });
}

void write_rule(BatchWriter& out, const std::string& table, const Chain& chain, const Rule& rule) {
    const auto nft_rule = own(nftnl_rule_alloc());
    nftnl_rule_set_str(nft_rule.get(), NFTNL_RULE_TABLE, table.c_str());
    nftnl_rule_set_str(nft_rule.get(), NFTNL_RULE_CHAIN, chain.name.c_str());
    for (const auto& statement : rule) std::visit(ExpressionWriter(nft_rule.get()), statement);
    out.message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, "rule \"" + to_string(rule) + "\" of chain " + chain.name,
                [&](nlmsghdr* header) { nftnl_rule_nlmsg_build_payload(header, nft_rule.get()); });
}

}  // namespace

Batch encode_replace(const Ruleset& ruleset) {
    BatchWriter out;
    out.frame(nftnl_batch_begin, "begin of the batch");
    write_table(out, NFT_MSG_NEWTABLE, NLM_F_CREATE, ruleset.table, "add");
    write_table(out, NFT_MSG_DELTABLE, 0, ruleset.table, "delete");
    write_table(out, NFT_MSG_NEWTABLE, NLM_F_CREATE, ruleset.table, "add");
    for (const auto& chain : ruleset.chains) {
        write_chain(out, ruleset.table, chain);
        for (const auto& rule : chain.rules) write_rule(out, ruleset.table, chain, rule);
    }
    out.frame(nftnl_batch_end, "end of the batch");
    return out.finish();
}

}  // namespace sallyport::netfilter
