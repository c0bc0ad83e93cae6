#pragma once
// Notes between the gateway and the sandbox's init process, over a SOCK_SEQPACKET pair: one kind byte, then a payload.

#include <optional>
#include <string>
#include <string_view>

namespace sallyport::container {

enum class NoteKind : char {
    born = 'b',      ///< init -> gateway: write my id maps
    mapped = 'm',    ///< gateway -> init: done
    failed = 'f',    ///< init -> gateway: payload says why in one sentence
    ready = 'r',     ///< init -> gateway: sealed and set up; the message after this one holds the sockets
    withhold = 'w',  ///< gateway -> init, before `go`: COMMAND must not have the variable that the payload names
    go = 'g',        ///< gateway -> init: start COMMAND
    signal = 's',    ///< gateway -> init: payload is the signal's number for COMMAND, in decimal
    ended = 'e',     ///< init -> gateway: payload is COMMAND's wait status, in decimal
};

struct Note {
    NoteKind kind;
    std::string payload;
};

/// False when the other end is gone.
bool send_note(int channel, NoteKind kind, std::string_view payload = {});
/// Blocks; nullopt when the other end is gone.
std::optional<Note> receive_note(int channel);

}  // namespace sallyport::container
