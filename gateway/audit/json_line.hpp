#pragma once
// One JSON object on one line, safe to show: whatever a client put into a value, the line is printable ASCII. Pure.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::audit {

/// What JSON puts between quotes (RFC 8259, section 7). All but printable ASCII becomes \uXXXX, so that no control
/// character, escape sequence or change of writing direction reaches a terminal; bytes that are no UTF-8 become \ufffd.
std::string json_escape(std::string_view text);

/// Writes behind what is in `out`, which must outlive it.
class JsonLine {
public:
    explicit JsonLine(std::string& out) : out_(out) {}

    /// Longer texts are cut; "KEY_length" behind it then says how long it was. Cut where clients cannot forge it.
    static constexpr std::size_t kMaxText = 2048;

    /// Keys are ours and are written as they are, in the order of the calls.
    JsonLine& text(std::string_view key, std::string_view value);
    /// Leaves an empty text out.
    JsonLine& optional_text(std::string_view key, std::string_view value);
    JsonLine& number(std::string_view key, std::uint64_t value);
    JsonLine& boolean(std::string_view key, bool value);
    /// Leaves false out.
    JsonLine& flag(std::string_view key, bool value) { return value ? boolean(key, true) : *this; }
    JsonLine& texts(std::string_view key, const std::vector<std::string>& values);

    /// The end of the object and a line feed.
    void finish();

private:
    void key(std::string_view name);
    void quoted(std::string_view value);

    std::string& out_;
    char before_ = '{';  ///< stands before the next key
};

}  // namespace sallyport::audit
