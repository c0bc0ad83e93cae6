#include "gateway/http/http1_writer.hpp"

#include <array>
#include <charconv>

namespace sallyport::http {
namespace {

using wire::BodyFraming;
using wire::Fields;
using wire::Framing;

void append_field(std::string& out, const wire::Field& field) {
    out += field.name;
    out += ": ";
    out += field.value;
    out += "\r\n";
}

void append_fields(std::string& out, const Fields& fields) {
    for (const auto& field : fields) append_field(out, field);
}

void append_framing(std::string& out, BodyFraming framing) {
    if (framing.kind == Framing::chunked) out += "Transfer-Encoding: chunked\r\n";
}

}  // namespace

std::string request_text(const wire::RequestHead& head) {
    std::string out;
    out.reserve(1024);
    out += head.method;
    out += ' ';
    out += head.target;
    out += " HTTP/1.1\r\n";
    append_fields(out, head.fields);
    append_framing(out, head.body);
    const bool te = wire::find(head.fields, "TE").has_value();
    if (!head.upgrade.empty()) {
        out += te ? "Connection: Upgrade, TE\r\n" : "Connection: Upgrade\r\n";
        append_fields(out, {{"Upgrade", head.upgrade}});
    } else if (te) {
        out += "Connection: TE\r\n";
    }
    out += "\r\n";
    return out;
}

BodyFraming client_framing(const wire::ResponseHead& head, int client_minor_version) {
    const bool open_ended = head.body.kind == Framing::chunked || head.body.kind == Framing::until_close;
    if (!open_ended) return head.body;
    return {client_minor_version == 0 ? Framing::until_close : Framing::chunked, 0};
}

std::string response_text(wire::ResponseHead& head, BodyFraming framing, int client_minor_version, bool close) {
    const std::string upgrade(wire::find(head.fields, "Upgrade").value_or(""));
    wire::remove_connection_fields(head.fields);
    if (head.is_interim() || head.status == 204) wire::erase(head.fields, "Content-Length");  // RFC 9110, section 8.6
    std::string out;
    out.reserve(1024);
    out += "HTTP/1.1 ";
    out += std::to_string(head.status);
    out += ' ';
    out += head.reason;
    out += "\r\n";
    append_fields(out, head.fields);
    append_framing(out, framing);
    if (head.status == 101) {
        out += "Connection: Upgrade\r\n";
        append_fields(out, {{"Upgrade", upgrade}});
    } else if (!head.is_interim()) {
        if (close) out += "Connection: close\r\n";
        else if (client_minor_version == 0) out += "Connection: keep-alive\r\n";
    }
    out += "\r\n";
    return out;
}

void append_body(std::string& out, Framing framing, std::span<const std::string_view> pieces) {
    std::size_t size = 0;
    for (const auto piece : pieces) size += piece.size();
    if (size == 0) return;  // an empty chunk would end the body
    if (framing == Framing::chunked) {
        std::array<char, 16> digits;
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), size, 16).ptr;
        out.append(digits.data(), end);
        out += "\r\n";
    }
    for (const auto piece : pieces) out += piece;
    if (framing == Framing::chunked) out += "\r\n";
}

void append_body_end(std::string& out, Framing framing, const Fields& trailers) {
    if (framing != Framing::chunked) return;
    out += "0\r\n";
    for (const auto& field : trailers)
        if (wire::may_be_trailer(field.name)) append_field(out, field);
    out += "\r\n";
}

}  // namespace sallyport::http
