#pragma once
// Attempts to get past the policy, as rows of tables: what a client says, what the origin recorded of it, what the
// audit log says. What the client gets to hear judges nothing.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/sealed_gateway.hpp"

namespace sallyport::test {

/// An origin that writes down every byte, its own port left out, and answers each message that is complete.
class RecordingOrigin {
public:
    static constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    explicit RecordingOrigin(tls::SslCtxPtr tls = nullptr, std::string answer = kOk);
    std::uint16_t port() const { return origin_.port(); }
    int connections() const { return origin_.connections(); }
    /// What came since the last call, all connections together; waits up to 10 seconds for so many bytes.
    bool has(std::size_t bytes);  ///< and more than none
    std::string take(std::size_t bytes);
    /// Waits as take() does; what came stays.
    void wait_for(std::size_t bytes);

private:
    std::string text() const;
    void serve(WirePeer& peer);
    void record(const std::string& bytes);

    const std::string answer_;
    std::mutex mutex_;
    std::condition_variable more_;
    std::string recorded_;
    WireOrigin origin_;  // last: its threads use the others
};

struct Attempt {
    std::string what;
    std::string sent;
    std::string arrives;  ///< all that the origins record of it, to the byte; "" nothing
    std::string audited;  ///< part of the audit lines, as AttemptGround::said gives them; "" no line at all
};

/// The whole gateway in front of a sealed namespace, with api.test, plain.test and *.wild.test as allowed hosts, the
/// first two with origins that record. api.test allows /open/** and, within it, denies /open/shut/** and the method
/// DELETE.
class AttemptGround {
public:
    static constexpr const char* kAddress = "192.0.2.7";  ///< nobody's

    /// Null where namespaces cannot be had. `more_policy`: "PLAIN" in it is plain_port(). `answer`: what origins say to
    /// every request.
    static std::unique_ptr<AttemptGround> make(const std::string& more_policy = "",
                                               std::vector<std::pair<std::string, std::string>> more_names = {},
                                               const std::string& answer = RecordingOrigin::kOk);

    SealedGateway& gateway() { return *gateway_; }
    WirePeer tls(const std::string& name = "api.test", const std::string& alpn = "");
    WirePeer plain(std::uint16_t port = 80) { return gateway_->connect(kAddress, port); }
    /// The port on which names that no route sends elsewhere find an origin, with a certificate for api.test.
    std::uint16_t port() const { return secure_.port(); }
    std::uint16_t plain_port() const { return plain_.port(); }
    int connections() const { return secure_.connections() + plain_.connections(); }

    /// Waits until api.test's origin has got as much as that.
    void wait_for(const std::string& arrives) { secure_.wait_for(arrives.size()); }
    /// Says row.sent and judges.
    void attempt(WirePeer client, const Attempt& row);
    /// What the client wanted to say is said: hears it out, compares what arrived, and keeps the row for settle().
    void judge(WirePeer& client, const Attempt& row);
    /// Ends the gateway: compares the audit log, connection by connection, and that nothing else arrived anywhere.
    /// What is on record besides, such as names and packets.
    std::vector<nlohmann::json> settle();

    /// "deny 403 api.test GET /path: reason", "deny tls api.test: reason".
    static std::string said(const nlohmann::json& event);

private:
    struct Judged {
        std::string client;  ///< its address
        Attempt row;
    };

    AttemptGround(const std::string& answer);
    void judge(WirePeer& client, const Attempt& row, const std::string& address);
    static void check_line(const Judged&, const std::string& line);
    std::string arrived(std::size_t bytes);

    RecordingOrigin secure_;
    RecordingOrigin plain_;
    std::unique_ptr<SealedGateway> gateway_;
    std::vector<Judged> judged_;
};

/// A request to api.test as the tables have it, and as it leaves.
std::string request(const std::string& line, const std::string& fields = "", const std::string& body = "",
                    const std::string& host = "api.test");

}  // namespace sallyport::test
