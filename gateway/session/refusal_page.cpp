#include "gateway/session/refusal_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace sallyport::session {
namespace {

constexpr std::size_t kMaxPrinted = 400;

/// Printable ASCII; anything else as \xNN. Long text is cut.
std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, kMaxPrinted)) {
        if (c >= 0x20 && c < 0x7f) out += c;
        else out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    if (text.size() > kMaxPrinted) out += "...";
    return out;
}

unsigned status_of(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::refused:
            return 403;
        case ErrorKind::unavailable:
            return 503;
        case ErrorKind::timed_out:
            return 504;
        default:
            return 502;
    }
}

std::string_view reason_phrase(unsigned status) {
    switch (status) {
        case 400:
            return "Bad Request";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 417:
            return "Expectation Failed";
        case 421:
            return "Misdirected Request";
        case 431:
            return "Request Header Fields Too Large";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        default:
            return "Forbidden";
    }
}

std::string request_line(const Refusal& refusal, bool tls) {
    if (refusal.method == "CONNECT") return "CONNECT " + printable(refusal.target);
    const auto& [host, port] = refusal.destination;
    const bool usual = port == (tls ? 443 : 80);
    const auto shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
    return printable(refusal.method) + (tls ? " https://" : " http://") + printable(shown) +
           (usual ? "" : ":" + std::to_string(port)) + printable(refusal.target);
}

std::string text_body(const Refusal& refusal, bool tls) {
    const bool ours = refusal.status < 500 || refusal.status == 501;
    std::string out = ours ? "sallyport refused this request.\n\n" : "sallyport could not complete this request.\n\n";
    out += "  request: " + request_line(refusal, tls) + "\n";
    out += "  why:     " + printable(refusal.why) + "\n";
    if (!refusal.rule.empty()) out += "  rule:    " + printable(refusal.rule) + "\n";
    if (!refusal.suggestion.empty()) {
        out += "\nThese lines of policy would allow it:\n\n" + refusal.suggestion;
        if (!out.ends_with('\n')) out += '\n';
    }
    return out;
}

std::string json_body(const Refusal& refusal, bool tls) {
    // `error.message` is where clients of JSON APIs look for something to show.
    nlohmann::ordered_json error{{"type", refusal.status < 500 ? "sallyport_refused" : "sallyport_origin_failed"},
                                 {"message", "sallyport: " + printable(refusal.why)},
                                 {"request", request_line(refusal, tls)},
                                 {"host", printable(refusal.destination.host)},
                                 {"method", printable(refusal.method)},
                                 {"path", printable(refusal.target)}};
    if (!refusal.rule.empty()) error["rule"] = printable(refusal.rule);
    if (!refusal.suggestion.empty()) error["allow_with"] = refusal.suggestion;
    return nlohmann::ordered_json{{"type", "error"}, {"error", std::move(error)}}.dump() + "\n";
}

/// As the grpc-message field has it.
std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c >= 0x20 && c < 0x7f && c != '%') out += c;
        else out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace

RefusalPage refusal_page(const Refusal& refusal, bool json, bool tls) {
    RefusalPage page;
    page.body = json ? json_body(refusal, tls) : text_body(refusal, tls);
    page.head.status = refusal.status;
    page.head.reason = reason_phrase(refusal.status);
    page.head.fields = {{"Content-Type", json ? "application/json" : "text/plain; charset=utf-8"},
                        {"Content-Length", std::to_string(page.body.size())},
                        {"Cache-Control", "no-store"},
                        {"X-Sallyport", refusal.status < 500 ? "refused" : "failed"}};
    page.head.body = {wire::Framing::length, page.body.size()};
    return page;
}

RefusalPage grpc_refusal(const Refusal& refusal, bool tls) {
    constexpr const char* kPermissionDenied = "7";
    constexpr const char* kUnavailable = "14";
    RefusalPage page;
    page.head.status = 200;
    page.head.reason = "OK";
    page.head.fields = {{"Content-Type", "application/grpc"},
                        {"Content-Length", "0"},
                        {"grpc-status", refusal.status < 500 ? kPermissionDenied : kUnavailable},
                        {"grpc-message", percent_encoded(text_body(refusal, tls))},
                        {"X-Sallyport", refusal.status < 500 ? "refused" : "failed"}};
    page.head.body = {wire::Framing::length, 0};
    return page;
}

bool is_grpc(const wire::Fields& fields) {
    const auto type = wire::find(fields, "Content-Type");
    constexpr std::string_view kGrpc = "application/grpc";
    return type && type->starts_with(kGrpc) && (type->size() == kGrpc.size() || (*type)[kGrpc.size()] == '+');
}

bool accepts_json(const wire::Fields& fields) {
    const auto accept = wire::find(fields, "Accept");
    if (!accept || accept->find("text/html") != std::string_view::npos) return false;
    return accept->find("application/json") != std::string_view::npos ||
           accept->find("+json") != std::string_view::npos;
}

Refusal origin_failure(const Permit& permit, std::string method, const Error& error) {
    Refusal failure;
    failure.status = status_of(error.kind);
    failure.destination = permit.destination;
    failure.method = std::move(method);
    failure.target = permit.target;
    failure.why = error.detail;
    failure.rule = permit.rule;
    return failure;
}

}  // namespace sallyport::session
