// A coroutine accepts, one serves each connection. They share ownership of State, so destroying the Admin only has to
// close what they wait for.
#include "gateway/app/admin.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <filesystem>
#include <list>

#include "container/doorway_client.hpp"
#include "gateway/app/status_text.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::app {
namespace {

namespace asio = boost::asio;
using asio::local::stream_protocol;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kMaxConnections = 16;
constexpr std::size_t kMaxRequest = 64;
constexpr std::chrono::seconds kPatience{5};          ///< for a question or an answer to pass
constexpr std::chrono::seconds kReloadPatience{120};  ///< secrets' commands take 10 s at most, each

using Socket = stream_protocol::socket;

/// Runs `operation` on `socket`; true when it moved all its bytes in time.
template <class Operation>
asio::awaitable<bool> in_time(Socket& socket, Operation operation) {
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer deadline(socket.get_executor(), kPatience);
    const auto first = co_await (std::move(operation) || deadline.async_wait(kToken));
    co_return first.index() == 0 && !std::get<0>(std::get<0>(first));
}

bool somebody_listens(const sockaddr_un& address, const std::string& path) {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) throw system_error("socket", errno);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN)
        return true;
    if (errno == ECONNREFUSED || errno == ENOENT) return false;
    throw system_error("the admin socket " + path + " cannot be used", errno);
}

/// Removes what an earlier gateway left there.
void clear_place(const sockaddr_un& address, const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return;
    if (!S_ISSOCK(info.st_mode))
        throw StartupError("the admin socket " + path + " cannot be made: something else is there");
    if (somebody_listens(address, path)) throw StartupError("another gateway serves at " + path);
    if (::unlink(path.c_str()) != 0) throw system_error("the old admin socket " + path + " cannot be removed", errno);
}

void make_directory_of(const std::string& path, uid_t owner) {
    const auto directory = std::filesystem::path(path).parent_path();
    if (directory.empty() || (::mkdir(directory.c_str(), 0700) != 0 && errno == EEXIST)) return;
    if (::chown(directory.c_str(), owner, static_cast<gid_t>(-1)) != 0)
        throw system_error("the folder of the admin socket " + path + " cannot be made", errno);
}

struct Answer {
    int status = 0;
    std::string text;
};

}  // namespace

UniqueFd open_admin_socket(const std::string& path, uid_t owner) {
    const auto address = container::unix_address(path);
    make_directory_of(path, owner);
    clear_place(address, path);
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) throw system_error("socket", errno);
    ::fchmod(fd.get(), 0600);  // before bind(2), which gives the file this mode: it is at no moment open to others
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::lchown(path.c_str(), owner, static_cast<gid_t>(-1)) != 0 ||
        ::listen(fd.get(), static_cast<int>(kMaxConnections)) != 0)
        throw system_error("the admin socket " + path + " cannot be made", errno);
    return fd;
}

struct Admin::State {
    using Ptr = std::shared_ptr<State>;
    using Connection = std::list<Socket>::iterator;

    stream_protocol::acceptor acceptor;
    Reloader& reloader;
    const audit::Audit& audit;
    std::function<Serving()> serving;
    std::list<Socket> connections = {};
    bool stopped = false;

    Answer health() const {
        const auto now = serving();
        if (!now.problem.empty()) return {1, now.problem + "\n"};
        if (!audit.healthy()) return {1, "the audit log cannot be written\n"};
        return {0, "serving\n"};
    }

    Answer status() const { return {0, status_text(serving(), reloader, audit)}; }

    /// The outcome is shared with the reload, which may end after us.
    static asio::awaitable<Answer> reload(Ptr state, asio::any_io_executor executor) {
        struct Outcome {
            explicit Outcome(const asio::any_io_executor& e) : ready(e, kReloadPatience) {}
            asio::steady_timer ready;
            std::optional<Reload> reload;
        };
        const auto outcome = std::make_shared<Outcome>(executor);
        state->reloader.reload([outcome](const Reload& reload) {
            outcome->reload = reload;
            outcome->ready.cancel();
        });
        co_await outcome->ready.async_wait(kToken);
        Answer answer{1, "the reload takes too long: the policy in use stays until it is done\n"};
        if (!outcome->reload) co_return answer;
        if (outcome->reload->mistakes.empty())
            answer = {0, fmt::format("{} was read again; {} connections ended{}\n", state->reloader.policy_file(),
                                     outcome->reload->ended, state->reloader.restart_note())};
        else answer.text = outcome->reload->mistakes + "\n";
        co_return answer;
    }

    static asio::awaitable<void> serve(Ptr state, Connection connection) {
        Socket& socket = *connection;
        std::string request;
        auto reading = asio::async_read_until(socket, asio::dynamic_buffer(request, kMaxRequest), '\n', kToken);
        const bool asked = co_await in_time(socket, std::move(reading));
        if (asked && !state->stopped) {
            request.resize(request.find('\n'));
            Answer answer{2, "a gateway answers to health, status and reload\n"};
            if (request == "health") answer = state->health();
            if (request == "status") answer = state->status();
            if (request == "reload") answer = co_await reload(state, socket.get_executor());
            const auto text = fmt::format("{}\n{}", answer.status, answer.text);
            auto writing = asio::async_write(socket, asio::buffer(text), kToken);
            if (!state->stopped) co_await in_time(socket, std::move(writing));
        }
        state->connections.erase(connection);
    }

    static asio::awaitable<void> accept_connections(Ptr state) {
        while (true) {
            const auto [error] = co_await state->acceptor.async_wait(stream_protocol::acceptor::wait_read, kToken);
            if (state->stopped || error) co_return;
            UniqueFd fd(::accept4(state->acceptor.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
            const bool of_that_client = !fd && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED);
            if (fd && state->connections.size() < kMaxConnections) {
                state->connections.emplace_front(state->acceptor.get_executor(), stream_protocol(), fd.release());
                asio::co_spawn(state->acceptor.get_executor(), serve(state, state->connections.begin()),
                               asio::detached);
            } else if (!fd && !of_that_client) {  // out of descriptors: the connection stays, and we must not spin
                asio::steady_timer pause(state->acceptor.get_executor(), std::chrono::milliseconds(100));
                co_await pause.async_wait(kToken);
                if (state->stopped) co_return;
            }
        }
    }

    void stop() {
        stopped = true;
        boost::system::error_code ignored;
        sockaddr_un address{};
        socklen_t size = sizeof address;
        if (::getsockname(acceptor.native_handle(), reinterpret_cast<sockaddr*>(&address), &size) == 0)
            ::unlink(address.sun_path);
        acceptor.close(ignored);
        for (auto& connection : connections) connection.close(ignored);
    }
};

Admin::Admin(asio::io_context& io, UniqueFd admin_socket, Reloader& reloader, const audit::Audit& audit,
             std::function<Serving()> serving)
    : state_(std::make_shared<State>(State{stream_protocol::acceptor(io), reloader, audit, std::move(serving)})) {
    state_->acceptor.assign(stream_protocol(), admin_socket.release());
    asio::co_spawn(io, State::accept_connections(state_), asio::detached);
}

Admin::~Admin() { state_->stop(); }

}  // namespace sallyport::app
