#include "tests/support/engine.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <stdexcept>

#include "gateway/base/startup_error.hpp"
#include "tests/support/netns_fixture.hpp"
#include "tests/support/outside_recorder.hpp"
#include "tests/support/test_ca.hpp"

namespace sallyport::test {
namespace {

using Strings = std::vector<std::string>;
namespace fs = std::filesystem;

constexpr std::chrono::minutes kBuildTime{30};  // it compiles the program, maybe beside another build

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

ShellOptions engine_options(std::chrono::seconds limit) {
    ShellOptions options;
    options.environment = {"PATH=" + variable("PATH"), "HOME=/root", "DOCKER_HOST=" + variable("DOCKER_HOST"),
                           "DOCKER_BUILDKIT=0"};
    options.limit = limit;
    return options;
}

void require(const Ran& ran, const std::string& what) {
    if (!ran.exited_with(0)) throw std::runtime_error(what + ": " + ran.shown());
}

Ran build(Strings arguments) {
    arguments.insert(arguments.begin(), {"docker", "build", "-q"});
    return run_program(std::move(arguments), engine_options(kBuildTime));
}

void make_program_image() {
    if (const auto ready = variable("SALLYPORT_IMAGE"); !ready.empty())
        return require(docker({"tag", ready, "sallyport"}), "SALLYPORT_IMAGE");
    // The first stage has a name so that it is kept, and built again only when something changed.
    require(build({"--target", "build", "-t", "sallyport-build", SALLYPORT_SOURCE_DIR}), "the build stage");
    require(build({"-t", "sallyport", SALLYPORT_SOURCE_DIR}), "the image");
}

/// With the attacks, which bring their libraries along: this machine's may be newer than those of the image.
void make_peer_image() {
    const TempDirectory context;
    const auto script = "cp " SALLYPORT_SOURCE_DIR "/tests/containers/peer/* . && mkdir attack && cp " SALLYPORT_ATTACKS
                        " attack/netns_tests && ldd " SALLYPORT_ATTACKS " | grep -o '/[^ ]*' | xargs cp -L -t attack";
    auto options = engine_options(std::chrono::seconds(60));
    options.directory = context.path();
    require(run_program({"sh", "-c", script}, options), "the attacks");
    require(build({"-t", "sallyport-test-peer", context.path()}), "the peers' image");
}

void write(const fs::path& file, const std::string& content, int mode = 0644) {
    std::ofstream(file) << content;
    if (::chmod(file.c_str(), static_cast<mode_t>(mode)) != 0) throw system_error(file.string(), errno);
}

std::string to_pem(EVP_PKEY* key) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    char* data = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

void write_certificates(const fs::path& directory) {
    const testing::TestCa ca;
    const auto identity = ca.good("api.example.test");
    fs::create_directory(directory);
    write(directory / "ca.pem", ca.pem());
    write(directory / "cert.pem", testing::to_pem(identity.certificate.get()));
    write(directory / "key.pem", to_pem(identity.key.get()));
}

}  // namespace

bool engine_is_ready() {
    if (variable("SALLYPORT_TEST_ENGINE").empty()) {
        skip("the container tests run inside scripts/test-engine");
        return false;
    }
    static const bool made = (make_program_image(), make_peer_image(), true);
    return made;
}

Ran docker(Strings arguments) {
    arguments.insert(arguments.begin(), "docker");
    return run_program(std::move(arguments), engine_options(std::chrono::minutes(5)));
}

BridgeRecorder::BridgeRecorder()
    : socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))) {
    const int size = 32 << 20;
    if (!socket_ || ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        throw system_error("the recorder", errno);
}

std::vector<int> BridgeRecorder::seen(int first, int last) {
    Recording recording;
    char frame[2048];
    for (;;) {
        const auto size = ::recv(socket_.get(), frame, sizeof frame, 0);
        if (size < 0 && errno == EAGAIN) break;
        if (size < 0) throw system_error("the recorder", errno);
        recording.frames.emplace_back(frame, static_cast<std::size_t>(size));
    }
    tpacket_stats dropped{};
    socklen_t length = sizeof dropped;
    if (::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &dropped, &length) != 0 || dropped.tp_drops)
        throw std::runtime_error("the recorder had to drop frames");
    std::vector<int> numbers;
    for (int number = first; number <= last; ++number)
        if (recording.saw(static_cast<std::uint8_t>(number))) numbers.push_back(number);
    return numbers;
}

Compose::Compose(const ComposeSpec& spec) : options_(engine_options(std::chrono::minutes(3))) {
    const auto& directory = directory_.path();
    fs::permissions(directory, fs::perms(0755));
    fs::create_directories(directory / "policy");
    write_policy(spec.policy);
    write(directory / "secret", spec.secret, spec.secret_mode);
    write_certificates(directory / "certificates");
    options_.directory = SALLYPORT_SOURCE_DIR;
    for (const auto& [name, value] : {std::pair<std::string, fs::path>{"SALLYPORT_POLICY", directory / "policy"},
                                      {"ANTHROPIC_KEY_FILE", directory / "secret"},
                                      {"CERTIFICATES", directory / "certificates"}})
        options_.environment.push_back(name + "=" + value.string());
    command_ = has_program("docker-compose") ? Strings{"docker-compose"} : Strings{"docker", "compose"};
    const Strings project = {"--project-name", "e2e", "--project-directory",        SALLYPORT_SOURCE_DIR, "-f",
                             spec.file,        "-f",  "tests/containers/peers.yaml"};
    command_.insert(command_.end(), project.begin(), project.end());
    started = compose({"up", "-d"});
}

Compose::~Compose() { compose({"down", "--volumes", "--timeout", "1"}); }

Ran Compose::compose(Strings arguments) const {
    arguments.insert(arguments.begin(), command_.begin(), command_.end());
    return run_program(std::move(arguments), options_);
}

Ran Compose::exec(const std::string& service, const std::string& script) const {
    return compose({"exec", "-T", service, "sh", "-c", script});
}

Ran Compose::in_app_in_the_end(const std::string& script) const {
    // Inside, so that trying again costs no call of the engine.
    return in_app("for i in $(seq 60); do if (" + script + "); then exit 0; fi; sleep 0.5; done; exit 1");
}

Ran Compose::attack(const std::string& test_case) const {
    return in_app(
        "cd /attack && ./ld-linux-x86-64.so.2 --library-path . ./netns_tests --no-skip --no-intro -tc='attack: " +
        test_case + "'");
}

std::string Compose::logs(const std::string& service) const {
    auto id = compose({"ps", "-q", service}).out;
    id = id.substr(0, id.find('\n'));
    const auto logs = docker({"logs", id});
    return logs.out + logs.err;
}

std::vector<nlohmann::json> Compose::arrived() const {
    std::vector<nlohmann::json> requests;
    std::istringstream lines(logs("origin"));
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("{")) requests.push_back(nlohmann::json::parse(line));
    return requests;
}

void Compose::write_policy(const std::string& policy) const {
    write(directory_.path() / "policy" / "policy.toml", policy);
}

}  // namespace sallyport::test
