#include "tests/support/real_servers.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "gateway/base/startup_error.hpp"

namespace sallyport::test {
namespace {

constexpr const char* kPath = "PATH=/usr/bin:/bin:/usr/sbin:/sbin";  // whose Python has Debian's modules

bool we_are_root() { return ::geteuid() == 0; }

/// 127.77.x.y, by the process.
std::string own_address() {
    const auto id = static_cast<unsigned>(::getpid());
    return "127.77." + std::to_string(id >> 8 & 0xff) + "." + std::to_string(std::max(1u, id & 0xff));
}

sockaddr_in endpoint(std::uint16_t port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    ::inet_pton(AF_INET, own_address().c_str(), &to.sin_addr);
    return to;
}

std::uint16_t free_port() {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    auto address = endpoint(0);
    socklen_t size = sizeof address;
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw system_error("bind " + own_address(), errno);
    return ntohs(address.sin_port);
}

void wait_until_accepting(std::uint16_t port) {
    const auto to = endpoint(port);
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < limit) {
        const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return;
        ::poll(nullptr, 0, 20);
    }
    throw std::runtime_error("a server does not accept connections");
}

std::string read(const std::filesystem::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// Debian keeps each version's programs in a folder of their own.
std::string postgres_program(const std::string& name) {
    for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql"))
        if (const auto path = version.path() / "bin" / name; std::filesystem::exists(path)) return path;
    throw std::runtime_error("no PostgreSQL");
}

}  // namespace

NameServer::NameServer(const std::vector<std::string>& names) {
    for (const auto& name : names) dns_.address(name, own_address());
    thread_ = std::thread([this] { io_.run(); });
}

NameServer::~NameServer() {
    io_.stop();
    thread_.join();
}

RealServer::RealServer() : port_(free_port()) {
    std::filesystem::permissions(directory(), std::filesystem::perms(0755));
    if (we_are_root() && ::chown(directory().c_str(), 65534, 65534) != 0) throw system_error("chown", errno);
}

std::vector<std::string> RealServer::as_nobody(std::vector<std::string> command) const {
    if (!we_are_root()) return command;
    std::vector<std::string> all{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"};
    all.insert(all.end(), command.begin(), command.end());
    return all;
}

void RealServer::start(std::vector<std::string> command) { start_as_ourselves(as_nobody(std::move(command))); }

void RealServer::start_as_ourselves(std::vector<std::string> command) {
    ShellOptions options;
    options.environment = {kPath, "LC_ALL=C.UTF-8", "LISTEN=" + own_address(), "PORT=" + port(),
                           "DIRECTORY=" + directory().string()};
    options.directory = directory();
    program_.emplace(std::move(command), options);
    wait_until_accepting(port_);
}

void RealServer::write(const std::string& name, const std::string& content) const {
    std::ofstream(directory() / name) << content;
    std::filesystem::permissions(directory() / name, std::filesystem::perms(name == "key.pem" ? 0600 : 0644));
    if (we_are_root() && ::chown((directory() / name).c_str(), 65534, 65534) != 0) throw system_error("chown", errno);
}

void RealServer::write_certificate(const testing::TestCa& authority, const std::string& host) const {
    const auto identity = authority.good(host);
    const tls::BioPtr key(BIO_new(BIO_s_mem()));
    if (PEM_write_bio_PrivateKey(key.get(), identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
        throw std::runtime_error("cannot write a key");
    char* text = nullptr;
    const auto size = BIO_get_mem_data(key.get(), &text);
    write("key.pem", {text, static_cast<std::size_t>(size)});
    write("certificate.pem", testing::to_pem(identity.certificate.get()));
}

void RealServer::prepare(std::vector<std::string> command) const {
    ShellOptions options;
    options.environment = {kPath, "LC_ALL=C.UTF-8", "HOME=" + directory().string()};
    options.directory = directory();
    const auto done = run_program(as_nobody(std::move(command)), options);
    if (!done.exited_with(0)) throw std::runtime_error("a server's set-up failed: " + done.shown());
}

// PAM and password files stay out of it: the account has a key, and the view of /etc/passwd ends with the server.
SshServer::SshServer() : account_(we_are_root() ? "git" : ::getpwuid(::geteuid())->pw_name) {
    prepare({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "host_key"});
    prepare({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key"});
    write("authorized_keys",
          R"key(restrict,command="exec git-shell -c \"$SSH_ORIGINAL_COMMAND\"" )key" + read(directory() / "key.pub"));
    write("passwd", "git:x:65534:65534::" + directory().string() + ":/bin/sh\n" + read("/etc/passwd"));
    write("start", R"sh(set -eu
if [ "$(id -u)" = 0 ]; then
  mount --bind "$DIRECTORY/passwd" /etc/passwd
  mount -t tmpfs none /run && mkdir /run/sshd
fi
exec /usr/sbin/sshd -D -e -f /dev/null -h "$DIRECTORY/host_key" -o "ListenAddress=$LISTEN:$PORT" -o StrictModes=no \
  -o "AuthorizedKeysFile=$DIRECTORY/authorized_keys" -o UsePAM=no -o PidFile=none -o PasswordAuthentication=no
)sh");
    std::vector<std::string> command{"sh", directory() / "start"};
    if (we_are_root()) command.insert(command.begin(), {"unshare", "--mount"});
    start_as_ourselves(std::move(command));
}

std::string SshServer::key() const { return read(directory() / "key"); }

std::string SshServer::known_as(const std::string& host) const {
    return "[" + host + "]:" + port() + " " + read(directory() / "host_key.pub");
}

std::string SshServer::make_repository(const std::string& content) {
    prepare({"sh", "-ec",
             "export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.test GIT_COMMITTER_NAME=A "
             "GIT_COMMITTER_EMAIL=a@example.test; git init -q --bare -b main project.git; git init -q -b main work; "
             "cd work; printf %s \"$0\" >file; git add file; git commit -qm first; git push -q ../project.git main",
             content});
    return directory() / "project.git";
}

PostgresServer::PostgresServer(const testing::TestCa& authority, const std::string& host) {
    write_certificate(authority, host);
    write("password", "origin");
    prepare({postgres_program("initdb"), "--no-sync", "--username=postgres", "--pwfile=password",
             "--auth=scram-sha-256", "--pgdata=cluster"});
    start({postgres_program("postgres"), "-D", "cluster", "-p", port(), "-c", "listen_addresses=" + own_address(), "-c",
           "unix_socket_directories=", "-c", "fsync=off", "-c", "ssl=on", "-c", "ssl_cert_file=../certificate.pem",
           "-c", "ssl_key_file=../key.pem"});
}

SmtpServer::SmtpServer(const testing::TestCa& authority, const std::string& host) {
    write_certificate(authority, host);
    start({"python3", "-m", "aiosmtpd", "--nosetuid", "--listen", own_address() + ":" + port(), "--tlscert",
           "certificate.pem", "--tlskey", "key.pem", "--no-requiretls", "--class", "aiosmtpd.handlers.Mailbox",
           "mail"});
}

std::vector<std::string> SmtpServer::messages() const {
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(directory() / "mail" / "new")) files.push_back(file);
    // A Maildir's names begin with the time, its microseconds without leading zeros: only the count after Q is an
    // order.
    const auto count = [](const auto& file) {
        const auto name = file.filename().string();
        return std::stoul(name.substr(name.find('Q') + 1));
    };
    std::ranges::sort(files, {}, count);
    std::vector<std::string> out;
    for (const auto& file : files) out.push_back(read(file));
    return out;
}

}  // namespace sallyport::test
