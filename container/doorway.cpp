#include "container/doorway.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "container/doorway_client.hpp"
#include "container/socket_handover.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

constexpr int kBacklog = 128;
constexpr std::size_t kMostAsking = 64;

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == path.npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

void bind_to(int fd, const std::string& path) {
    const auto address = unix_address(path);
    struct stat stale {};
    if (::lstat(path.c_str(), &stale) == 0 && S_ISSOCK(stale.st_mode)) ::unlink(path.c_str());
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw system_error("cannot make the doorway's socket " + path + " (its folder must be writable for user " +
                               std::to_string(::geteuid()) + " or group " + std::to_string(::getegid()) + ")",
                           errno);
}

/// The gateway is another user, which the folder's group stands for.
void share_with_group(const std::string& path, const struct stat& directory) {
    if (::chmod(path.c_str(), 0660) != 0) throw system_error("cannot set the mode of " + path, errno);
    if (::chown(path.c_str(), static_cast<uid_t>(-1), directory.st_gid) != 0)
        throw system_error("cannot give " + path + " to group " + std::to_string(directory.st_gid) +
                               ", its folder's: run the doorway as a member of it",
                           errno);
}

}  // namespace

UniqueFd listen_as_doorway(const std::string& path) {
    const auto directory = directory_of(path);
    const UniqueFd folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat info {};
    // Locked until we listen: of two that start at once, the second one finds the first.
    if (!folder || ::flock(folder.get(), LOCK_EX) != 0 || ::fstat(folder.get(), &info) != 0)
        throw system_error("cannot open " + directory + ", the folder of the doorway's socket", errno);
    if (call_doorway(path, DoorwayRequest::health) || errno == EAGAIN)
        throw StartupError("another doorway serves " + path + " already: stop it, or name another socket");
    UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener) throw system_error("cannot open a unix socket", errno);
    bind_to(listener.get(), path);
    share_with_group(path, info);
    if (::listen(listener.get(), kBacklog) != 0) throw system_error("cannot listen at " + path, errno);
    return listener;
}

void Doorway::serve(int stop) {
    for (;;) {
        std::vector<pollfd> events{{stop, POLLIN, 0}, {listener_.get(), POLLIN, 0}, {gateway_.get(), POLLIN, 0}};
        for (const auto& peer : asking_) events.push_back({peer.get(), POLLIN, 0});
        if (::poll(events.data(), events.size(), -1) < 0) {
            if (errno == EINTR) continue;
            throw system_error("poll", errno);
        }
        if (events[0].revents) return;
        // It has nothing more to say: whatever comes, its end above all, makes room for the next one.
        if (events[2].revents) {
            gateway_.reset();
            std::fprintf(stderr, "sallyport: the gateway has gone; clients wait for the next one\n");
        }
        auto asking = std::exchange(asking_, {});
        for (std::size_t i = 0; i < asking.size(); ++i) {
            if (events[i + 3].revents) answer(std::move(asking[i]));
            else asking_.push_back(std::move(asking[i]));
        }
        if (events[1].revents) accept_one();
    }
}

void Doorway::accept_one() {
    UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!peer) return;
    if (asking_.size() == kMostAsking) asking_.erase(asking_.begin());
    asking_.push_back(std::move(peer));
}

void Doorway::answer(UniqueFd peer) {
    char request = 0;
    if (::recv(peer.get(), &request, 1, 0) != 1) return;
    const char state = static_cast<char>(gateway_ ? DoorwayAnswer::busy : DoorwayAnswer::waiting);
    try {
        switch (static_cast<DoorwayRequest>(request)) {
            case DoorwayRequest::serve:
                return hand_over(std::move(peer));
            case DoorwayRequest::health:
                (void)!::send(peer.get(), &state, 1, MSG_NOSIGNAL);
                return;
            case DoorwayRequest::socket4:
            case DoorwayRequest::socket6: {
                const int family = request == static_cast<char>(DoorwayRequest::socket4) ? AF_INET : AF_INET6;
                const UniqueFd fresh(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
                if (fresh) send_fresh_socket(peer.get(), fresh.get());
                return;
            }
        }
    } catch (const StartupError&) {
        // It hung up before it had its answer.
    }
}

void Doorway::hand_over(UniqueFd peer) {
    if (gateway_) {
        const char busy = static_cast<char>(DoorwayAnswer::busy);
        (void)!::send(peer.get(), &busy, 1, MSG_NOSIGNAL);
        return;
    }
    send_sockets(peer.get(), sockets_);
    gateway_ = std::move(peer);
    std::fprintf(stderr, "sallyport: a gateway serves\n");
}

}  // namespace sallyport::container
