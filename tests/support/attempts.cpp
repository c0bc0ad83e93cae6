#include "tests/support/attempts.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>

namespace sallyport::test {
namespace {

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

/// The length of the first message in `bytes`; 0 while it is not complete.
std::size_t message_size(const std::string& bytes) {
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string::npos) return 0;
    const auto head = lower(bytes.substr(0, end + 2));
    std::size_t size = end + 4;
    if (const auto at = head.find("\r\ncontent-length: "); at != std::string::npos)
        size += std::strtoull(head.c_str() + at + 18, nullptr, 10);
    if (head.find("\r\ntransfer-encoding: chunked") != std::string::npos) {
        const auto last = bytes.compare(size, 3, "0\r\n") == 0 ? size : bytes.find("\r\n0\r\n", size);
        const auto close = last == std::string::npos ? last : bytes.find("\r\n\r\n", last + 2);
        size = close == std::string::npos ? bytes.size() + 1 : close + 4;
    }
    return size <= bytes.size() ? size : 0;
}

std::string address_of(const WirePeer& client) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    if (::getsockname(client.fd(), reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
    return Endpoint::from_sockaddr(storage).value().to_string();
}

std::string policy_for(std::uint16_t secure, std::uint16_t plain) {
    return fmt::format(
        "[[allow]]\nhost = \"api.test\"\npath = \"/open/**\"\n"
        "[[deny]]\nhost = \"api.test\"\npath = \"/open/shut/**\"\n"
        "[[deny]]\nhost = \"api.test\"\nmethod = \"DELETE\"\n"
        "[[allow]]\nhost = [\"plain.test\", \"*.wild.test\"]\n"
        "[[route]]\nhost = \"api.test\"\nto = \"https://api.test:{}\"\n"
        "[[route]]\nhost = \"plain.test\"\nto = \"http://127.0.0.1:{}\"\n",
        secure, plain);
}

}  // namespace

RecordingOrigin::RecordingOrigin(tls::SslCtxPtr tls, std::string answer)
    : answer_(std::move(answer)),
      origin_([this](WirePeer& peer) { serve(peer); }, std::move(tls), WireOrigin::Serving::side_by_side) {}

void RecordingOrigin::serve(WirePeer& peer) {
    std::string pending;
    for (;;) {
        const auto byte = peer.read_exactly(1);
        if (byte.empty()) return;
        pending += byte;
        record(byte);
        const auto size = message_size(pending);
        if (size == 0) continue;
        pending.erase(0, size);
        peer.send(answer_);
    }
}

void RecordingOrigin::record(const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    recorded_ += bytes;
    more_.notify_all();
}

std::string RecordingOrigin::text() const {
    const auto own = fmt::format(":{}", port());
    auto out = recorded_;
    for (auto at = out.find(own); at != std::string::npos; at = out.find(own, at)) out.erase(at, own.size());
    return out;
}

void RecordingOrigin::wait_for(std::size_t bytes) {
    std::unique_lock lock(mutex_);
    more_.wait_for(lock, std::chrono::seconds(10), [&] { return text().size() >= bytes; });
}

bool RecordingOrigin::has(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    return bytes > 0 && text().size() >= bytes;
}

std::string RecordingOrigin::take(std::size_t bytes) {
    wait_for(bytes);
    const std::lock_guard lock(mutex_);
    auto out = text();
    recorded_.clear();
    return out;
}

AttemptGround::AttemptGround(const std::string& answer)
    : secure_(testing::make_server(SealedGateway::origin_ca().good("api.test")), answer), plain_(nullptr, answer) {}

std::unique_ptr<AttemptGround> AttemptGround::make(const std::string& more_policy,
                                                   std::vector<std::pair<std::string, std::string>> more_names,
                                                   const std::string& answer) {
    std::unique_ptr<AttemptGround> ground(new AttemptGround(answer));
    more_names.emplace_back("api.test", "127.0.0.1");
    auto policy = policy_for(ground->secure_.port(), ground->plain_.port()) + more_policy;
    if (const auto at = policy.find("\"PLAIN\""); at != std::string::npos)
        policy.replace(at, 7, std::to_string(ground->plain_.port()));
    ground->gateway_ = SealedGateway::start(policy, more_names);
    return ground->gateway_ ? std::move(ground) : nullptr;
}

WirePeer AttemptGround::tls(const std::string& name, const std::string& alpn) {
    auto ssl = gateway_->tls_client(name);
    const auto offer = static_cast<char>(alpn.size()) + alpn;
    if (!alpn.empty())
        SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(offer.data()),
                            static_cast<unsigned>(offer.size()));
    auto client = gateway_->connect(kAddress, 443);
    REQUIRE(client.start_tls(std::move(ssl)) == "");
    return client;
}

void AttemptGround::attempt(WirePeer client, const Attempt& row) {
    const auto address = address_of(client);  // a socket that was reset has none
    client.send(row.sent);
    judge(client, row, address);
}

std::string AttemptGround::arrived(std::size_t bytes) {
    auto out = plain_.take(0);
    return out + secure_.take(bytes > out.size() ? bytes - out.size() : 0);
}

void AttemptGround::judge(WirePeer& client, const Attempt& row) { judge(client, row, address_of(client)); }

void AttemptGround::judge(WirePeer& client, const Attempt& row, const std::string& address) {
    INFO(row.what);
    judged_.push_back({address, row});
    // A client that closes before it is answered may be taken for one that went away: what is allowed waits for the
    // origin, and what is refused on the way for its answer.
    const bool allowed = row.audited.starts_with("allow");
    const bool cut = row.audited.find("the request's body") != std::string::npos;
    const auto size = row.arrives.size();
    const auto done = [&] { return client.has_input() || (allowed && (plain_.has(size) || secure_.has(size))); };
    for (int i = 0; (allowed || cut) && i < 5000 && !done(); ++i) ::poll(nullptr, 0, 1);
    client.shutdown_write();
    client.read_to_end();
    CHECK(arrived(row.arrives.size()) == row.arrives);
}

void AttemptGround::check_line(const Judged& judged, const std::string& line) {
    INFO(judged.row.what, " of ", judged.client, " is on record as ", line);
    CHECK(line.empty() == judged.row.audited.empty());
    CHECK(line.find(judged.row.audited) != std::string::npos);
}

std::vector<nlohmann::json> AttemptGround::settle() {
    std::map<std::string, std::string> lines;
    std::vector<nlohmann::json> others;
    for (auto& event : gateway_->finish()) {
        if (event.contains("client")) lines[event["client"]] += said(event) + "\n";
        else others.push_back(std::move(event));
    }
    // Where an earlier connection had the same source port, redirecting gives the later one another.
    std::vector<Judged> renumbered;
    for (const auto& judged : judged_) {
        if (const auto found = lines.extract(judged.client)) check_line(judged, found.mapped());
        else if (judged.row.audited.empty()) check_line(judged, "");
        else renumbered.push_back(judged);
    }
    for (const auto& judged : renumbered) {
        const auto found = std::find_if(lines.begin(), lines.end(), [&](const auto& line) {
            return line.second.find(judged.row.audited) != std::string::npos;
        });
        check_line(judged, found == lines.end() ? "" : found->second);
        if (found != lines.end()) lines.erase(found);
    }
    for (const auto& left : lines) FAIL_CHECK("an audit line of no attempt, from ", left.first, ": ", left.second);
    CHECK(arrived(0) == "");
    return others;
}

std::string AttemptGround::said(const nlohmann::json& event) {
    const std::string subject = event["event"] == "request"
                                    ? fmt::format("{} {} {} {}", event.value("status", 0), event.value("host", ""),
                                                  std::string(event["method"]), std::string(event["path"]))
                                    : fmt::format("{} {}", std::string(event["protocol"]), event.value("host", ""));
    return fmt::format("{} {}: {}", std::string(event["decision"]), subject, event.value("reason", ""));
}

std::string request(const std::string& line, const std::string& fields, const std::string& body,
                    const std::string& host) {
    return line + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n" + body;
}

}  // namespace sallyport::test
