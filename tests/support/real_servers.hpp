#pragma once
// Servers of protocols that the gateway does not read: the real programs, on a loopback address that no other test has.

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "tests/support/fake_dns.hpp"
#include "tests/support/shell.hpp"
#include "tests/support/stand_in.hpp"
#include "tests/support/test_ca.hpp"

namespace sallyport::test {

/// A name server for `sallyport run --name-server`, under which `names` have the address of our servers.
class NameServer {
public:
    explicit NameServer(const std::vector<std::string>& names);
    NameServer(NameServer&&) = delete;
    ~NameServer();
    std::vector<std::string> run_options() const { return {"--name-server", dns_.where()}; }

private:
    boost::asio::io_context io_{1};
    testing::FakeDns dns_{io_};
    std::thread thread_;
};

/// What they have in common: an address, a port, a directory.
class RealServer {
public:
    std::string port() const { return std::to_string(port_); }
    const std::filesystem::path& directory() const { return directory_.path(); }

protected:
    RealServer();
    /// Runs as nobody when we are root; its files are then given to nobody. Returns when it accepts connections.
    void start(std::vector<std::string> command);
    /// As start(), as who we are.
    void start_as_ourselves(std::vector<std::string> command);
    void write(const std::string& name, const std::string& content) const;
    /// certificate.pem and key.pem for `host`, of `authority`.
    void write_certificate(const testing::TestCa& authority, const std::string& host) const;
    /// One step of the set-up; throws when it fails.
    void prepare(std::vector<std::string> command) const;

private:
    std::vector<std::string> as_nobody(std::vector<std::string> command) const;

    TempDirectory directory_;
    std::uint16_t port_;
    std::optional<Program> program_;
};

/// OpenSSH's sshd with git's git-shell, as a hosting service has it: one account, who may fetch and push.
class SshServer : public RealServer {
public:
    SshServer();
    /// As root "git", in a view of /etc/passwd that only this server has; else ourselves.
    const std::string& account() const { return account_; }
    /// The private key that gets in, to git-shell, in OpenSSH's form.
    std::string key() const;
    /// For known_hosts: its key, under the name that clients call it by.
    std::string known_as(const std::string& host) const;
    /// Path of a new repository with one commit, by its file's content.
    std::string make_repository(const std::string& content);

private:
    std::string account_;
};

/// PostgreSQL with TLS for `host`; user "postgres", password "origin".
class PostgresServer : public RealServer {
public:
    PostgresServer(const testing::TestCa& authority, const std::string& host);
};

/// aiosmtpd with STARTTLS for `host`.
class SmtpServer : public RealServer {
public:
    SmtpServer(const testing::TestCa& authority, const std::string& host);
    /// What was delivered, oldest first.
    std::vector<std::string> messages() const;
};

}  // namespace sallyport::test
