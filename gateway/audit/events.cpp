#include "gateway/audit/events.hpp"

#include "gateway/audit/json_line.hpp"

namespace sallyport::audit {
namespace {

std::uint64_t milliseconds(std::chrono::milliseconds duration) {
    return duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0;
}

void write_subject(JsonLine& line, const char* event, const Subject& subject) {
    line.text("time", format_time(subject.time))
        .text("event", event)
        .text("decision", subject.decision == Decision::allow ? "allow" : "deny")
        .flag("would_deny", subject.would_deny)
        .optional_text("rule", subject.rule)
        .optional_text("reason", subject.reason)
        .text("client", subject.client.to_string())
        .text("original_dst", subject.original_dst.to_string())
        .optional_text("host", subject.host)
        .number("port", subject.port)
        .flag("private_address", subject.private_address);
}

void write_traffic(JsonLine& line, const Traffic& bytes, std::chrono::milliseconds duration) {
    line.number("bytes_out", bytes.out).number("bytes_in", bytes.in).number("duration_ms", milliseconds(duration));
}

void write(JsonLine& line, const RequestEvent& event) {
    write_subject(line, "request", event);
    line.text("scheme", event.scheme).text("method", event.method).text("path", event.path);
    if (event.status != 0) line.number("status", event.status);
    write_traffic(line, event.bytes, event.duration);
    line.texts("secrets", event.secrets);
    if (!event.scrubbed.empty()) line.texts("scrubbed", event.scrubbed);
    line.optional_text("alarm", event.alarm);
}

void write(JsonLine& line, const ConnectionEvent& event) {
    write_subject(line, "connection", event);
    line.text("protocol", event.protocol);
    write_traffic(line, event.bytes, event.duration);
}

void write(JsonLine& line, const NameEvent& event) {
    line.text("time", format_time(event.time))
        .text("event", "name")
        .text("decision", event.would_deny ? "allow" : "deny")
        .flag("would_deny", event.would_deny)
        .text("name", event.name)
        .number("type", event.type)
        .text("reason", event.reason);
}

void write(JsonLine& line, const PacketEvent& event) {
    line.text("time", format_time(event.time))
        .text("event", "packet")
        .text("decision", "deny")
        .text("class", event.packet_class)
        .optional_text("destination", event.destination)
        .number("count", event.count);
}

void write(JsonLine& line, const PolicyEvent& event) {
    line.text("time", format_time(event.time))
        .text("event", "policy")
        .text("file", event.file)
        .text("result", event.replaced ? "replaced" : "kept")
        .optional_text("reason", event.reason)
        .number("ended", event.ended);
}

}  // namespace

std::string format_time(Time time) {
    namespace chr = std::chrono;
    const auto day = chr::floor<chr::days>(time);
    const chr::year_month_day date(day);
    const chr::hh_mm_ss clock(chr::floor<chr::milliseconds>(time - day));
    std::string text = "0000-00-00T00:00:00.000Z";
    const auto put = [&text](std::size_t end, std::int64_t value) {  // its last digit stands before `end`
        for (; value > 0; value /= 10) text[--end] = static_cast<char>('0' + value % 10);
    };
    put(4, static_cast<int>(date.year()));
    put(7, static_cast<unsigned>(date.month()));
    put(10, static_cast<unsigned>(date.day()));
    put(13, clock.hours().count());
    put(16, clock.minutes().count());
    put(19, clock.seconds().count());
    put(23, clock.subseconds().count());
    return text;
}

void append_json(std::string& out, const Event& event) {
    JsonLine line(out);
    std::visit([&](const auto& known) { write(line, known); }, event);
    line.finish();
}

std::string to_json(const Event& event) {
    std::string line;
    append_json(line, event);
    return line;
}

}  // namespace sallyport::audit
