// Whatever a client puts into an event, its line in the audit log is one line of printable ASCII, another's JSON parser
// reads the same texts out of it, and no text becomes a key. Input: host, path, method, reason, one a line.

#include <nlohmann/json.hpp>
#include <sstream>

#include "gateway/audit/events.hpp"
#include "gateway/audit/json_line.hpp"
#include "gateway/audit/read_log.hpp"
#include "tests/fuzz/require.hpp"

using namespace sallyport;
using fuzz::require;

namespace {

bool is_utf8(std::string_view text) {
    try {
        static_cast<void>(nlohmann::json(text).dump());
        return true;
    } catch (const nlohmann::json::exception&) {
        return false;
    }
}

void check_text(const nlohmann::json& object, const std::string& key, std::string_view value) {
    const auto& read = object.at(key).get_ref<const std::string&>();
    const auto kept = value.substr(0, audit::JsonLine::kMaxText);
    if (is_utf8(kept)) require(read == kept);
    require(object.contains(key + "_length") == (value.size() > kept.size()));
    if (value.size() > kept.size()) require(object.at(key + "_length") == value.size());
}

nlohmann::json check_line(const std::string& line) {
    require(line.ends_with('\n') && fuzz::printable(std::string_view(line).substr(0, line.size() - 1)));
    auto object = nlohmann::json::parse(line);
    require(object.is_object());
    return object;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto input = fuzz::text(data, size);
    audit::RequestEvent event;
    event.time = {};
    event.decision = audit::Decision::allow;
    event.scheme = "https";
    event.host = fuzz::take_line(input);
    event.path = fuzz::take_line(input);
    event.method = fuzz::take_line(input);
    event.reason = fuzz::take_line(input);
    event.port = 443;
    event.secrets = {std::string(input)};
    static const auto kKeys = [] {
        audit::RequestEvent plain;
        plain.host = plain.path = plain.method = plain.reason = plain.scheme = "x";
        plain.secrets = {"x"};
        return nlohmann::json::parse(audit::to_json(plain));
    }();
    const auto object = check_line(audit::to_json(event));
    for (const auto& [key, value] : object.items()) require(kKeys.contains(key) || key.ends_with("_length"));
    require(object.at("decision") == "allow");
    for (const auto& [key, value] : {std::pair("host", &event.host), {"path", &event.path}, {"method", &event.method}})
        if (!value->empty() || object.contains(key)) check_text(object, key, *value);

    audit::NameEvent name;
    name.name = event.host;
    name.reason = event.reason;
    check_text(check_line(audit::to_json(name)), "name", event.host);
    const auto all = fuzz::text(data, size);
    const auto escaped = audit::json_escape(all);
    require(fuzz::printable(escaped));
    const auto unescaped = nlohmann::json::parse("\"" + escaped + "\"").get<std::string>();
    require(!is_utf8(all) || unescaped == all);

    std::istringstream log(audit::to_json(event));  // what `sallyport suggest` reads back
    const auto content = audit::read_log(log);
    require(content.seen.size() + content.unreadable == 1 && content.refused.empty());
    require((content.unreadable == 1) == (event.path.size() > audit::JsonLine::kMaxText));
    if (content.seen.empty() || event.host.size() > audit::JsonLine::kMaxText) return 0;
    if (is_utf8(event.host)) require(content.seen.begin()->first.host == event.host);
    if (is_utf8(event.path)) require(content.seen.begin()->first.target == event.path);
    return 0;
}
