#include "gateway/wire/http2_head.hpp"

#include <boost/beast/http/status.hpp>
#include <charconv>

namespace sallyport::wire {
namespace {

Error malformed(const char* why) { return {ErrorKind::malformed, why}; }

std::string lower(std::string_view name) {
    std::string out(name);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::optional<std::uint64_t> number(std::string_view digits) {
    std::uint64_t value = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (failed != std::errc{} || end != digits.data() + digits.size() || digits.empty()) return std::nullopt;
    return value;
}

/// A length is passed on as the number that it was read as, not in its digits.
BodyFraming framing_of(Fields& fields, bool ended) {
    const auto text = wire::find(fields, "content-length");
    const auto length = text ? number(*text) : std::nullopt;
    if (length) wire::set(fields, "content-length", std::to_string(*length));
    if (ended) return {};
    if (length) return {Framing::length, *length};
    return {Framing::chunked, 0};
}

/// Takes the pseudo-header fields out of the front of `fields`.
Fields take_pseudo(Fields& fields) {
    auto first = fields.begin();
    while (first != fields.end() && first->name.starts_with(':')) ++first;
    Fields pseudo(std::make_move_iterator(fields.begin()), std::make_move_iterator(first));
    fields.erase(fields.begin(), first);
    return pseudo;
}

/// RFC 9113, section 8.2.3. An empty crumb would leave a blank at an end, which no reader of HTTP/1.1 keeps.
void join_cookies(Fields& fields) {
    if (wire::count(fields, "cookie") < 2) return;
    std::string joined;
    for (const auto& field : fields)
        if (field.name == "cookie" && !field.value.empty()) joined += (joined.empty() ? "" : "; ") + field.value;
    wire::set(fields, "cookie", joined);
}

/// Servers want to know that nothing comes (RFC 9110, section 8.6); HTTP/2 said it by END_STREAM.
bool expects_content(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

void append_lower(Fields& out, const Fields& fields) {
    for (const auto& field : fields) {
        if (equal_ignoring_case(field.name, "Host")) continue;
        out.push_back({lower(field.name), field.value, field.sensitive});
    }
}

}  // namespace

Result<RequestHead> request_from_http2(Fields fields, bool ended, std::string_view scheme) {
    const Fields pseudo = take_pseudo(fields);
    RequestHead head;
    const auto authority = wire::find(pseudo, ":authority");
    head.method = wire::find(pseudo, ":method").value_or("");
    head.target = wire::find(pseudo, ":path").value_or("");
    if (const auto protocol = wire::find(pseudo, ":protocol"); protocol && head.method == "CONNECT") {
        if (protocol->empty() || wire::find(fields, "content-length"))
            return malformed("a CONNECT with another meaning");
        head.method = "GET";
        head.upgrade = lower(*protocol);
    }
    if (head.method == "CONNECT") head.target = authority.value_or("");
    else if (!equal_ignoring_case(wire::find(pseudo, ":scheme").value_or(""), scheme))
        return malformed("a :scheme that is not this connection's");
    if (const auto host = wire::find(fields, "host"); authority && host && !equal_ignoring_case(*authority, *host))
        return malformed("the authority and Host differ");
    if (authority) {
        wire::erase(fields, "host");
        fields.insert(fields.begin(), Field{"Host", std::string(*authority)});
    }
    join_cookies(fields);
    if (head.upgrade.empty()) head.body = framing_of(fields, ended);
    if (ended && expects_content(head.method)) wire::set(fields, "content-length", "0");
    head.fields = std::move(fields);
    return head;
}

Result<ResponseHead> response_from_http2(Fields fields, bool ended, bool no_body) {
    const Fields pseudo = take_pseudo(fields);
    const auto status = number(wire::find(pseudo, ":status").value_or(""));
    if (!status || *status < 100 || *status > 999) return malformed("a :status that is no number of its kind");
    ResponseHead head;
    head.status = static_cast<unsigned>(*status);
    head.reason = boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(head.status));
    const bool has_body = !head.is_interim() && head.status != 204 && head.status != 304 && !no_body;
    if (has_body) head.body = framing_of(fields, ended);
    // HTTP/1.1 says it by this, where HTTP/2 said it by END_STREAM.
    if (has_body && ended && wire::count(fields, "content-length") == 0) fields.push_back({"content-length", "0"});
    head.fields = std::move(fields);
    return head;
}

Fields http2_fields(const RequestHead& head, std::string_view scheme) {
    Fields out{{":method", head.method},
               {":scheme", std::string(scheme)},
               {":authority", std::string(wire::find(head.fields, "Host").value_or(""))},
               {":path", head.target, head.sensitive_target}};
    append_lower(out, head.fields);
    return out;
}

Fields http2_fields(ResponseHead& head) {
    remove_connection_fields(head.fields);
    if (head.is_interim() || head.status == 204) wire::erase(head.fields, "Content-Length");  // RFC 9110, section 8.6
    const bool switches = head.status == 101;
    if (switches) wire::erase(head.fields, "Sec-WebSocket-Accept");
    Fields out{{":status", switches ? "200" : std::to_string(head.status)}};
    append_lower(out, head.fields);
    return out;
}

Fields http2_trailers(const Fields& trailers) {
    Fields out;
    for (const auto& field : trailers)
        if (may_be_trailer(field.name)) out.push_back({lower(field.name), field.value});
    return out;
}

}  // namespace sallyport::wire
