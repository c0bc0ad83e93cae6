#include "container/channel.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace sallyport::container {
namespace {
constexpr std::size_t kMaxNote = 4096;
}

bool send_note(int channel, NoteKind kind, std::string_view payload) {
    const auto text = std::string(1, static_cast<char>(kind)).append(payload.substr(0, kMaxNote - 1));
    ssize_t sent = 0;
    do sent = ::send(channel, text.data(), text.size(), MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent > 0;
}

std::optional<Note> receive_note(int channel) {
    std::array<char, kMaxNote> text;
    ssize_t got = 0;
    do got = ::recv(channel, text.data(), text.size(), 0);
    while (got < 0 && errno == EINTR);
    if (got <= 0) return std::nullopt;
    return Note{static_cast<NoteKind>(text[0]), std::string(text.data() + 1, static_cast<std::size_t>(got - 1))};
}

}  // namespace sallyport::container
