#pragma once
// HTTP header fields as a list in the order and the letter case in which they came (RFC 9110, section 5).

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::wire {

struct Field {
    std::string name;
    std::string value;
    bool sensitive = false;  ///< holds a secret: no compression table may remember it (RFC 7541, section 7.1.3)
};
using Fields = std::vector<Field>;

/// ASCII only; field names and the tokens we compare are ASCII.
bool equal_ignoring_case(std::string_view a, std::string_view b);
/// Two names of fields that an application behind CGI or one of its kin cannot tell apart: there "-" has become "_"
/// (RFC 3875, section 4.1.18).
bool same_to_cgi(std::string_view a, std::string_view b);

std::size_t count(const Fields&, std::string_view name);
/// The value of the first field of that name.
std::optional<std::string_view> find(const Fields&, std::string_view name);
void erase(Fields&, std::string_view name);
/// Puts `value` where the first field of that name stands and removes the others; appends when there is none.
void set(Fields&, std::string_view name, std::string_view value, bool sensitive = false);
/// True when some field of that name lists `token` (comma-separated, RFC 9110, section 5.6.1).
bool has_token(const Fields&, std::string_view name, std::string_view token);

/// Removes what concerns one connection only (RFC 9110, section 7.6.1): Connection and every field that it
/// names, Keep-Alive, TE, Upgrade, Transfer-Encoding, Proxy-Connection, and Proxy-Authorization, whose proxy this is.
/// Framing is the writer's.
void remove_connection_fields(Fields&);

/// A field in which origins look for who is asking, also as CGI would read the name. Not Cookie, which holds more.
bool is_credential(std::string_view name);
/// False for routing, framing, authentication and whatever changes how a message is read or judged (RFC 9110, section
/// 6.5.1), also as CGI would read the name.
bool may_be_trailer(std::string_view name);
/// Those of `trailers` that repeat no field of the head: merged into it, as some origins do, they would change it.
Fields without_repeated(const Fields& trailers, const Fields& head);

}  // namespace sallyport::wire
