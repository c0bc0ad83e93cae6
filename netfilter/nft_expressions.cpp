#include "netfilter/nft_expressions.hpp"

#include <arpa/inet.h>
#include <libnftnl/expr.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cstdint>
#include <new>
#include <type_traits>

namespace sallyport::netfilter {
namespace {

constexpr std::uint32_t kLoopbackIndex = 1;    // LOOPBACK_IFINDEX of net/flow.h: the same in every namespace
constexpr std::uint32_t kNobody = 0xffffffff;  // (uid_t)-1: no user, so every socket's owner differs from it

// NF_CT_STATE_BIT() of net/netfilter/nf_conntrack.h, which is the kernel's own; nft(8) has the same numbers.
constexpr std::uint32_t state_bit(unsigned info) { return 1u << (info + 1); }

/// Every match loads into register 1 and compares there.
class ExpressionWriter {
public:
    explicit ExpressionWriter(nftnl_rule* rule) : rule_(rule) {}

    void operator()(Is match) const {
        switch (match) {
            case Is::ipv6:
                return match_meta<std::uint8_t>(NFT_META_NFPROTO, NFPROTO_IPV6);
            case Is::arp:
                return match_meta<std::uint16_t>(NFT_META_PROTOCOL, htons(ETH_P_ARP));
            case Is::from_loopback:
                return match_meta(NFT_META_IIF, kLoopbackIndex);
            case Is::to_loopback:
                return match_meta(NFT_META_OIF, kLoopbackIndex);
            case Is::local_destination:
                return match_address_type(NFTA_FIB_F_DADDR, NFT_CMP_EQ);
            case Is::foreign_destination:
                return match_address_type(NFTA_FIB_F_DADDR, NFT_CMP_NEQ);
            case Is::foreign_source:
                return match_address_type(NFTA_FIB_F_SADDR, NFT_CMP_NEQ);
            case Is::redirected:
                return match_conntrack_bits(NFT_CT_STATUS, IPS_DST_NAT, NFT_CMP_NEQ);
            case Is::not_redirected:
                return match_conntrack_bits(NFT_CT_STATUS, IPS_DST_NAT, NFT_CMP_EQ);
            case Is::original:
                return match_conntrack<std::uint8_t>(NFT_CT_DIRECTION, IP_CT_DIR_ORIGINAL);
            case Is::reply:
                return match_conntrack<std::uint8_t>(NFT_CT_DIRECTION, IP_CT_DIR_REPLY);
            case Is::fresh:
                return match_conntrack_bits(NFT_CT_STATE, state_bit(IP_CT_NEW), NFT_CMP_NEQ);
            case Is::established:
                return match_conntrack_bits(NFT_CT_STATE, state_bit(IP_CT_ESTABLISHED), NFT_CMP_NEQ);
            case Is::related:
                return match_conntrack_bits(NFT_CT_STATE, state_bit(IP_CT_RELATED), NFT_CMP_NEQ);
            case Is::opening_tcp:
                return match_tcp_flags(TH_FIN | TH_SYN | TH_RST | TH_ACK, TH_SYN);
            case Is::tcp_reset:
                return match_tcp_flags(TH_RST, TH_RST);
            case Is::owned:
                load_meta(NFT_META_SKUID);
                return compare(kNobody, NFT_CMP_NEQ);
        }
    }
    void operator()(Protocol protocol) const { match_meta<std::uint8_t>(NFT_META_L4PROTO, protocol.number); }
    void operator()(DestinationPort destination) const { match_port(destination.protocol, 2, destination.port); }
    void operator()(SourcePort source) const { match_port(source.protocol, 0, source.port); }
    void operator()(DestinationIpv4 destination) const { match_ipv4(16, destination.address); }
    void operator()(SourceIpv4 source) const { match_ipv4(12, source.address); }
    void operator()(NeighbourDiscovery message) const {
        (*this)(Is::ipv6);
        (*this)(Protocol{IPPROTO_ICMPV6});
        load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, sizeof message.type);
        compare(message.type);
        load_payload(NFT_PAYLOAD_NETWORK_HEADER, 7, 1);
        compare<std::uint8_t>(255);
    }
    void operator()(OwnerUser owner) const { match_meta(NFT_META_SKUID, owner.uid); }
    void operator()(OwnerCgroup owner) const {
        auto* socket = add("socket");
        nftnl_expr_set_u32(socket, NFTNL_EXPR_SOCKET_KEY, NFT_SOCKET_CGROUPV2);
        nftnl_expr_set_u32(socket, NFTNL_EXPR_SOCKET_DREG, NFT_REG_1);
        nftnl_expr_set_u32(socket, NFTNL_EXPR_SOCKET_LEVEL, owner.level);
        compare(owner.id);
    }
    void operator()(Mark mark) const { match_meta(NFT_META_MARK, mark.value); }
    void operator()(ConnectionMark mark) const { match_conntrack(NFT_CT_MARK, mark.value); }
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
    void operator()(SetMark mark) const {
        load_immediate(mark.value);
        auto* meta = add("meta");
        nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, NFT_META_MARK);
        nftnl_expr_set_u32(meta, NFTNL_EXPR_META_SREG, NFT_REG_1);
    }
    void operator()(SetConnectionMark mark) const {
        load_immediate(mark.value);
        auto* ct = add("ct");
        nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
        nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_SREG, NFT_REG_1);
    }
    void operator()(Redirect redirect) const {
        load_immediate(htons(redirect.port));
        nftnl_expr_set_u32(add("redir"), NFTNL_EXPR_REDIR_REG_PROTO_MIN, NFT_REG_1);
    }
    void operator()(const Goto& to) const {
        nftnl_expr_set_str(add_verdict(static_cast<std::uint32_t>(NFT_GOTO)), NFTNL_EXPR_IMM_CHAIN, to.chain.c_str());
    }
    void operator()(Reject answer) const {
        const bool reset = answer == Reject::tcp_reset;
        auto* reject = add("reject");
        nftnl_expr_set_u32(reject, NFTNL_EXPR_REJECT_TYPE, reset ? NFT_REJECT_TCP_RST : NFT_REJECT_ICMPX_UNREACH);
        nftnl_expr_set_u8(reject, NFTNL_EXPR_REJECT_CODE, reset ? 0 : NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
    }
    void operator()(Verdict verdict) const { add_verdict(verdict == Verdict::accept ? NF_ACCEPT : NF_DROP); }

private:
    nftnl_expr* add(const char* name) const {
        auto* expression = nftnl_expr_alloc(name);
        if (!expression) throw std::bad_alloc();
        nftnl_rule_add_expr(rule_, expression);  // the rule owns it from here
        return expression;
    }
    nftnl_expr* add_verdict(std::uint32_t verdict) const {
        auto* immediate = add("immediate");
        nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
        nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, verdict);
        return immediate;
    }
    template <class T>
    void compare(T value, nft_cmp_ops operation = NFT_CMP_EQ) const {
        auto* cmp = add("cmp");
        nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
        nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_OP, operation);
        nftnl_expr_set(cmp, NFTNL_EXPR_CMP_DATA, &value, sizeof value);
    }
    template <class T>
    void load_immediate(T value) const {
        auto* immediate = add("immediate");
        nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
        nftnl_expr_set(immediate, NFTNL_EXPR_IMM_DATA, &value, sizeof value);
    }
    void load_meta(std::uint32_t key) const {
        auto* meta = add("meta");
        nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
        nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, NFT_REG_1);
    }
    void load_payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length) const {
        auto* payload = add("payload");
        nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
        nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, base);
        nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
        nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, length);
    }
    void load_conntrack(std::uint32_t key) const {
        auto* ct = add("ct");
        nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_DREG, NFT_REG_1);
        nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_KEY, key);
    }
    template <class T>
    void keep_bits(T mask) const {
        constexpr T kZero = 0;
        auto* bitwise = add("bitwise");
        nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
        nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
        nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_LEN, sizeof mask);
        nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_MASK, &mask, sizeof mask);
        nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_XOR, &kZero, sizeof kZero);
    }
    template <class T>
    void match_meta(std::uint32_t key, T value) const {
        load_meta(key);
        compare(value);
    }
    template <class T>
    void match_conntrack(std::uint32_t key, T value) const {
        load_conntrack(key);
        compare(value);
    }
    void match_conntrack_bits(std::uint32_t key, std::uint32_t bits, nft_cmp_ops against_zero) const {
        load_conntrack(key);
        keep_bits(bits);
        compare<std::uint32_t>(0, against_zero);
    }
    void match_address_type(std::uint32_t which, nft_cmp_ops operation) const {
        auto* fib = add("fib");
        nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
        nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
        nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_FLAGS, which);
        compare<std::uint32_t>(RTN_LOCAL, operation);
    }
    void match_ipv4(std::uint32_t offset, const std::array<std::uint8_t, 4>& address) const {
        match_meta<std::uint8_t>(NFT_META_NFPROTO, NFPROTO_IPV4);
        load_payload(NFT_PAYLOAD_NETWORK_HEADER, offset, sizeof address);
        compare(address);
    }
    void match_port(std::uint8_t protocol, std::uint32_t offset, std::uint16_t port) const {
        (*this)(Protocol{protocol});
        load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset, sizeof port);
        compare(htons(port));
    }
    void match_tcp_flags(std::uint8_t mask, std::uint8_t flags) const {
        (*this)(Protocol{IPPROTO_TCP});
        load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1);
        keep_bits(mask);
        compare(flags);
    }

    nftnl_rule* rule_;
};

}  // namespace

void add_expressions(nftnl_rule* target, const Rule& rule) {
    for (const auto& statement : rule) std::visit(ExpressionWriter(target), statement);
}

}  // namespace sallyport::netfilter
