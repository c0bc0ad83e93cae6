#include "gateway/audit/read_log.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

namespace sallyport::audit {
namespace {

using nlohmann::json;

std::string text(const json& event, const char* key) {
    const auto found = event.find(key);
    return found != event.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag(const json& event, const char* key) {
    const auto found = event.find(key);
    return found != event.end() && found->is_boolean() && found->get<bool>();
}

std::uint64_t number(const json& event, const char* key) {
    const auto found = event.find(key);
    return found != event.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

class Reader {
public:
    void take(std::string_view line) {
        const auto event = json::parse(line, nullptr, false);
        if (!event.is_object() || !take_event(event, text(event, "event"))) ++content_.unreadable;
    }
    void unreadable() { ++content_.unreadable; }
    LogContent content() && { return std::move(content_); }

private:
    bool take_event(const json& event, const std::string& kind) {
        const auto decision = text(event, "decision");
        if (kind == "name" && flag(event, "would_deny")) return count(content_.looked_up, text(event, "name"));
        if (kind == "name") return count(content_.refused, text(event, "name") + ": not resolved");
        if (kind == "packet")
            return count(content_.refused, text(event, "class") + " to " + text(event, "destination") + ": rejected",
                         number(event, "count"));
        // A changed policy is no traffic, what comes in nothing to be let out, and what an origin was asked for a
        // client nothing that the client did.
        const auto protocol = text(event, "protocol");
        if (kind == "policy" || protocol == "inbound" || protocol == "alpn") return true;
        if (kind != "request" && kind != "connection") return false;
        if (const auto alarm = text(event, "alarm"); !alarm.empty())
            return count(content_.refused, text(event, "host") + ": ALARM: " + alarm);
        if (decision == "deny") return count(content_.refused, text(event, "host") + ": " + text(event, "reason"));
        if (decision != "allow" || event.contains("path_length")) return false;  // a cut path matches nothing
        return take_allowed(event, kind == "request");
    }

    bool take_allowed(const json& event, bool request) {
        Seen seen;
        const auto protocol = text(event, "protocol");
        seen.kind = request ? Seen::Kind::request : protocol == "tls" ? Seen::Kind::tls : Seen::Kind::tcp;
        seen.host = text(event, "host");
        const auto port = number(event, "port");
        if (port == 0 || port > std::numeric_limits<std::uint16_t>::max()) return false;
        seen.port = static_cast<std::uint16_t>(port);
        if (request) {
            seen.method = text(event, "method");
            seen.target = text(event, "path");
        }
        seen.private_address = flag(event, "private_address");
        return count(content_.seen, std::move(seen));
    }

    template <class Key>
    bool count(std::map<Key, std::uint64_t>& counts, Key key, std::uint64_t by = 1) {
        if (const auto known = counts.find(key); known != counts.end()) known->second += by;
        else if (counts.size() < LogContent::kMaxDifferent) counts.emplace(std::move(key), by);
        else content_.beyond += by;
        return true;
    }

    LogContent content_;
};

}  // namespace

LogContent read_log(std::istream& in) {
    Reader reader;
    std::vector<char> line(LogContent::kMaxLine);
    for (;;) {
        in.getline(line.data(), static_cast<std::streamsize>(line.size()));
        const auto length = static_cast<std::size_t>(in.gcount());
        if (in.bad() || (in.eof() && length == 0)) break;
        if (in.fail() && !in.eof()) {  // longer than a line can be: the rest of it is skipped
            in.clear();
            in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
            reader.unreadable();
            continue;
        }
        const std::string_view text(line.data());
        if (!text.empty()) reader.take(text);
        if (in.eof()) break;
    }
    return std::move(reader).content();
}

}  // namespace sallyport::audit
