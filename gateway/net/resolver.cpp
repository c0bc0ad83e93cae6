#include "gateway/net/resolver.hpp"

#include <ares.h>
#include <netinet/in.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "gateway/base/lru_map.hpp"
#include "gateway/base/startup_error.hpp"
#include "gateway/net/lifeline_timer.hpp"

namespace sallyport::net {

namespace asio = boost::asio;

namespace {

using Answer = Result<std::vector<IpAddress>>;

constexpr int kMinTtl = 5;
constexpr int kMaxTtl = 300;
constexpr std::chrono::seconds kNegativeTtl{2};
constexpr int kTryMilliseconds = 2000;
constexpr int kTries = 3;
constexpr int kUdpPayload = 1232;  // fits every path unfragmented (DNS flag day 2020); larger answers come by TCP

struct AresFree {
    void operator()(ares_channeldata* channel) const { ares_destroy(channel); }
    void operator()(ares_addrinfo* info) const { ares_freeaddrinfo(info); }
};

/// One question under way. Waiters live in coroutine frames and leave the list before they die.
struct Question {
    std::string name;
    std::optional<Answer> answer;
    std::vector<LifelineTimer*> waiters;
};

struct Kept {
    Answer answer;
    Clock::time_point until;
};

std::optional<IpAddress> address_of(const ares_addrinfo_node& node) {
    sockaddr_storage storage{};
    std::memcpy(&storage, node.ai_addr, std::min<std::size_t>(node.ai_addrlen, sizeof storage));
    const auto endpoint = Endpoint::from_sockaddr(storage);
    return endpoint ? std::optional(endpoint->address) : std::nullopt;
}

/// c-ares has sorted by RFC 6724; the first entry's family goes first, then they alternate.
std::vector<IpAddress> in_order_of_attempts(const ares_addrinfo* info) {
    std::vector<IpAddress> preferred, other, ordered;
    for (const auto* node = info->nodes; node; node = node->ai_next) {
        const auto address = address_of(*node);
        if (!address) continue;
        auto& list = preferred.empty() || preferred.front().is_v4() == address->is_v4() ? preferred : other;
        if (list.size() < Resolver::kMaxAddresses && std::ranges::find(list, *address) == list.end())
            list.push_back(*address);
    }
    for (std::size_t i = 0; i < std::max(preferred.size(), other.size()); ++i) {
        if (i < preferred.size()) ordered.push_back(preferred[i]);
        if (i < other.size()) ordered.push_back(other[i]);
    }
    if (ordered.size() > Resolver::kMaxAddresses) ordered.resize(Resolver::kMaxAddresses);
    return ordered;
}

std::chrono::seconds time_to_live(const ares_addrinfo* info) {
    int ttl = kMaxTtl;
    for (const auto* node = info->nodes; node; node = node->ai_next) ttl = std::min(ttl, node->ai_ttl);
    for (const auto* cname = info->cnames; cname; cname = cname->next) ttl = std::min(ttl, cname->ttl);
    return std::chrono::seconds(std::max(ttl, kMinTtl));
}

Error failure(const std::string& name, int status) {
    switch (status) {
        case ARES_ENOTFOUND:
            return {ErrorKind::unresolved, name + " does not exist (name servers say so)"};
        case ARES_ENODATA:
            return {ErrorKind::unresolved, name + " has no address"};
        case ARES_ETIMEOUT:
            return {ErrorKind::timed_out, name + ": the name servers do not answer"};
        case ARES_EDESTRUCTION:
            return {ErrorKind::cancelled, "the gateway is shutting down"};
        default:
            return {ErrorKind::unresolved, name + " could not be resolved: " + ares_strerror(status)};
    }
}

}  // namespace

/// The c-ares channel and the sockets it wants watched.
///
/// Handlers that Asio holds keep the Channel alive but do nothing once it is closed: close() destroys the c-ares
/// channel, which answers every open question and reports every socket as done.
class Resolver::Channel : public std::enable_shared_from_this<Channel> {
public:
    Channel(const asio::any_io_executor& executor, const std::string& servers) : executor_(executor), timer_(executor) {
        open(servers);
    }

    void close() {
        ares_.reset();
        timer_.cancel();
    }

    const Answer* cached(const std::string& name) {
        const Kept* kept = answers_.find(name);
        return kept && Clock::now() < kept->until ? &kept->answer : nullptr;
    }

    /// The question for `name`, asked now or before; null when too many are under way.
    std::shared_ptr<Question> ask(const std::string& name);

private:
    struct Watch {
        Watch(const asio::any_io_executor& executor, int fd) : descriptor(executor) {
            boost::system::error_code ignored;  // unwatched, its questions end by their time limit
            descriptor.assign(fd, ignored);
        }
        asio::posix::stream_descriptor descriptor;
        bool wants_read = false, wants_write = false;
        bool waits_read = false, waits_write = false;
        bool closed = false;
    };
    struct Asked {
        Channel* channel;
        std::shared_ptr<Question> question;
    };

    void open(const std::string& servers);
    static void socket_state(void* self, ares_socket_t fd, int readable, int writable);
    static void answered(void* asked, int status, int timeouts, ares_addrinfo*);
    void keep(const Question&, std::chrono::seconds);
    void watch(const std::shared_ptr<Watch>&);
    void process(ares_socket_t readable, ares_socket_t writable);
    void arm_timer();

    asio::any_io_executor executor_;
    asio::steady_timer timer_;
    std::unordered_map<int, std::shared_ptr<Watch>> watches_;
    std::unordered_map<std::string, std::shared_ptr<Question>> questions_;
    LruMap<Kept> answers_{kMaxCached};
    std::unique_ptr<ares_channeldata, AresFree> ares_;  // last: its destructor calls back
};

void Resolver::Channel::open(const std::string& servers) {
    ares_options options{};
    char lookups[] = "fb";  // /etc/hosts, then DNS
    options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS;
    options.ednspsz = kUdpPayload;
    options.timeout = kTryMilliseconds;
    options.tries = kTries;
    options.ndots = 0;
    options.domains = nullptr;  // c-ares before 1.20 forgets NOSEARCH in ares_getaddrinfo
    options.ndomains = 0;
    options.lookups = lookups;
    options.sock_state_cb = socket_state;
    options.sock_state_cb_data = this;
    ares_channel made = nullptr;
    const int status =
        ares_init_options(&made, &options,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_DOMAINS |
                              ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB | ARES_OPT_EDNSPSZ);
    if (status != ARES_SUCCESS)
        throw StartupError(std::string("cannot set up name resolution: ") + ares_strerror(status));
    ares_.reset(made);
    if (!servers.empty() && ares_set_servers_ports_csv(made, servers.c_str()) != ARES_SUCCESS)
        throw StartupError("not a list of name servers: " + servers);
}

std::shared_ptr<Question> Resolver::Channel::ask(const std::string& name) {
    if (const auto found = questions_.find(name); found != questions_.end()) return found->second;
    if (questions_.size() >= kMaxPending) return nullptr;
    auto question = std::make_shared<Question>(Question{name, std::nullopt, {}});
    questions_.emplace(name, question);
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    auto asked = std::make_unique<Asked>(Asked{this, question});
    ares_getaddrinfo(ares_.get(), name.c_str(), nullptr, &hints, answered, asked.release());
    arm_timer();
    return question;
}

/// Called exactly once for each question, perhaps before ares_getaddrinfo returns.
void Resolver::Channel::answered(void* context, int status, int, ares_addrinfo* result) {
    const std::unique_ptr<Asked> asked(static_cast<Asked*>(context));
    const std::unique_ptr<ares_addrinfo, AresFree> info(result);
    Question& question = *asked->question;
    auto addresses = status == ARES_SUCCESS && info ? in_order_of_attempts(info.get()) : std::vector<IpAddress>{};
    const bool found = !addresses.empty();
    question.answer = found ? Answer(std::move(addresses))
                            : Answer(failure(question.name, status == ARES_SUCCESS ? ARES_ENODATA : status));
    if (status != ARES_EDESTRUCTION) asked->channel->keep(question, found ? time_to_live(info.get()) : kNegativeTtl);
    asked->channel->questions_.erase(question.name);
    for (LifelineTimer* waiter : question.waiters) waiter->wake();
}

void Resolver::Channel::keep(const Question& question, std::chrono::seconds time) {
    answers_.put(question.name, Kept{*question.answer, Clock::now() + time});
}

void Resolver::Channel::socket_state(void* context, ares_socket_t fd, int readable, int writable) {
    auto* self = static_cast<Channel*>(context);
    auto found = self->watches_.find(fd);
    if (!readable && !writable) {
        if (found == self->watches_.end()) return;
        found->second->closed = true;
        found->second->descriptor.release();  // c-ares closes it
        self->watches_.erase(found);
        return;
    }
    if (found == self->watches_.end())
        found = self->watches_.emplace(fd, std::make_shared<Watch>(self->executor_, fd)).first;
    found->second->wants_read = readable != 0;
    found->second->wants_write = writable != 0;
    self->watch(found->second);
}

void Resolver::Channel::watch(const std::shared_ptr<Watch>& watch) {
    const auto wait = [this, &watch](auto direction, bool Watch::*wants, bool Watch::*waits) {
        if (watch->closed || !((*watch).*wants) || (*watch).*waits) return;
        (*watch).*waits = true;
        watch->descriptor.async_wait(direction, [self = shared_from_this(), watch, wants, waits](const auto& ec) {
            (*watch).*waits = false;
            if (ec || watch->closed) return;
            const int fd = watch->descriptor.native_handle();
            if ((*watch).*wants)
                self->process(waits == &Watch::waits_read ? fd : ARES_SOCKET_BAD,
                              waits == &Watch::waits_write ? fd : ARES_SOCKET_BAD);
            self->watch(watch);
        });
    };
    wait(asio::posix::descriptor_base::wait_read, &Watch::wants_read, &Watch::waits_read);
    wait(asio::posix::descriptor_base::wait_write, &Watch::wants_write, &Watch::waits_write);
}

void Resolver::Channel::process(ares_socket_t readable, ares_socket_t writable) {
    ares_process_fd(ares_.get(), readable, writable);
    arm_timer();
}

void Resolver::Channel::arm_timer() {
    timeval left{};
    if (!ares_timeout(ares_.get(), nullptr, &left)) {
        timer_.cancel();
        return;
    }
    timer_.expires_after(std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec));
    timer_.async_wait([self = shared_from_this()](const auto& ec) {
        if (!ec && self->ares_) self->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    });
}

Resolver::Resolver(const asio::any_io_executor& executor, const std::string& servers, const std::string& local_servers)
    : channel_(std::make_shared<Channel>(executor, servers)),
      local_(servers == local_servers ? channel_ : std::make_shared<Channel>(executor, local_servers)) {}

Resolver::~Resolver() {
    channel_->close();
    local_->close();
}

asio::awaitable<Answer> Resolver::resolve(std::string name, Lifeline& lifeline, Clock::time_point deadline) {
    if (lifeline.ended()) co_return lifeline.reason();
    Channel& channel = name.find('.') == std::string::npos ? *local_ : *channel_;
    if (const auto* kept = channel.cached(name)) co_return *kept;
    const auto question = channel.ask(name);
    if (!question) co_return Error{ErrorKind::too_large, name + ": too many names are being resolved"};
    if (!question->answer) {
        // From here on `this` may be gone.
        struct Waiting {
            Waiting(Question& q, LifelineTimer& w) : question(q), waiter(w) { question.waiters.push_back(&waiter); }
            ~Waiting() { std::erase(question.waiters, &waiter); }
            Question& question;
            LifelineTimer& waiter;
        };
        LifelineTimer timer(co_await asio::this_coro::executor, lifeline);
        const Waiting waiting(*question, timer);
        co_await timer.wait_until(std::min(deadline, Clock::now() + kTimeLimit));
    }
    if (lifeline.ended()) co_return lifeline.reason();
    if (question->answer) co_return *question->answer;
    co_return Error{ErrorKind::timed_out, name + ": the name servers did not answer in time"};
}

}  // namespace sallyport::net
