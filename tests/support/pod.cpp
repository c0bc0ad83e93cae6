#include "tests/support/pod.hpp"

#include <openssl/pem.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include "tests/support/engine.hpp"
#include "tests/support/test_ca.hpp"

namespace sallyport::test {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

constexpr const char* kNetwork = "sallyport-pods";
constexpr const char* kSecretStart = R"(apiVersion: v1
kind: Secret
metadata:
  name: sallyport-secrets
data:
  anthropic: )";

std::string read(const fs::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// Replaces the one place where `from` stands. Throws std::runtime_error when the manifest has changed under us.
void replace(std::string& text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    if (at == text.npos) throw std::runtime_error("pod.yaml has no \"" + from + "\"");
    text.replace(at, from.size(), to);
}

/// As the block of a YAML mapping.
std::string block(const std::string& key, const std::string& content) {
    std::string text = "  " + key + ": |\n";
    std::istringstream lines(content);
    for (std::string line; std::getline(lines, line);) text += "    " + line + "\n";
    return text;
}

std::string manifest(const std::string& policy, const std::string& ca_pem, const std::string& restart_policy) {
    auto text = read(SALLYPORT_SOURCE_DIR "/pod.yaml");
    const auto start = text.find("  policy.toml: |\n"), end = text.find("---\n", start);
    text.replace(start, end - start, block("policy.toml", policy) + block("origin-ca.pem", ca_pem));
    replace(text, "\n  containers:\n", "\n");
    replace(text, "\n  - name: gateway\n    restartPolicy: Always\n", "\n  containers:\n  - name: gateway\n");
    replace(text, "    - --audit=", "    - --origin-ca=/etc/sallyport/origin-ca.pem\n    - --audit=");
    replace(text, "image: debian:bookworm-slim", "image: sallyport-test-peer:latest");
    replace(text, "restartPolicy: OnFailure", "restartPolicy: " + restart_policy);
    return kSecretStart + std::string(Pod::kSecretInBase64) + "\n---\n" + text;
}

void write_key(const fs::path& file, EVP_PKEY* key) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new_file(file.c_str(), "w"), BIO_free);
    if (!out || PEM_write_bio_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
        throw std::runtime_error("cannot write " + file.string());
}

/// For the origin; returns the CA's certificate.
std::string write_certificates(const fs::path& directory) {
    const testing::TestCa ca;
    const auto identity = ca.good("api.example.test");
    fs::create_directory(directory);
    std::ofstream(directory / "cert.pem") << testing::to_pem(identity.certificate.get());
    write_key(directory / "key.pem", identity.key.get());
    return ca.pem();
}

/// For machines without systemd, where nobody may raise limits and cgroup v1 and v2 are both there; locks and networks
/// are not those of the machine's own podman.
constexpr const char* kConfiguration = R"(
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
[network]
network_backend = "netavark"
)";

ShellOptions podman_options(const fs::path& directory) {
    const auto configuration = directory / "containers.conf";
    std::ofstream(configuration) << kConfiguration << "network_config_dir = \"" << (directory / "networks").string()
                                 << "\"\n";
    const char* path = std::getenv("PATH");
    ShellOptions options;
    options.environment = {"PATH=" + std::string(path ? path : ""), "HOME=/root", "DISABLE_HC_SYSTEMD=true",
                           "CONTAINERS_CONF=" + configuration.string()};
    options.limit = std::chrono::minutes(3);
    return options;
}

void require(const Ran& ran, const std::string& what) {
    if (!ran.exited_with(0)) throw std::runtime_error(what + ": " + ran.shown());
}

/// From the engine that has built them.
void load_images(const ShellOptions& options, const fs::path& directory) {
    auto as_docker = options;
    const char* engine = std::getenv("DOCKER_HOST");
    as_docker.environment.push_back("DOCKER_HOST=" + std::string(engine ? engine : ""));
    const auto archive = directory / "images.tar";
    require(run_program({"docker", "save", "-o", archive, "sallyport:latest", "sallyport-test-peer:latest"}, as_docker),
            "save the images");
    require(run_program({"podman", "load", "-q", "-i", archive}, options), "load the images");
    fs::remove(archive);
}

}  // namespace

std::string attack_script(const std::string& test_case) {
    return "cd /attack && ./ld-linux-x86-64.so.2 --library-path . ./netns_tests --no-skip --no-intro -tc='attack: " +
           test_case + "'";
}

Pod::Pod(const std::string& policy, const std::string& restart_policy) : options_(podman_options(directory_.path())) {
    if (!engine_is_ready()) throw std::runtime_error("pods are played beside an engine of the tests' own only");
    static const bool loaded = (load_images(options_, directory_.path()), true);
    static_cast<void>(loaded);
    remove_everything();  // of a run that was killed
    require(podman({"network", "create", kNetwork}), "the pod's network");
    const auto ca_pem = write_certificates(directory_.path() / "certificates");
    start_origin();
    for (const auto* volume : {"run", "trust", "state"}) {
        require(podman({"volume", "create", volume}), "an emptyDir");
        auto place = podman({"volume", "inspect", "-f", "{{.Mountpoint}}", volume}).out;
        place.resize(place.find('\n'));
        fs::permissions(place, fs::perms(0777));
    }
    const auto file = directory_.path() / "pod.yaml";
    std::ofstream(file) << manifest(policy, ca_pem, restart_policy);
    started = podman({"kube", "play", "--network", kNetwork, file});
}

Pod::~Pod() { remove_everything(); }

void Pod::remove_everything() const {
    podman({"pod", "rm", "-f", "-a", "-t", "0"});
    podman({"rm", "-f", "-a", "-t", "0"});
    podman({"volume", "rm", "-f", "-a"});
    podman({"secret", "rm", "-a"});
}

void Pod::start_origin() const {
    require(podman({"run", "-d", "--name", "origin", "--network", kNetwork, "--network-alias", "api.example.test", "-v",
                    (directory_.path() / "certificates").string() + ":/certificates:ro", "sallyport-test-peer:latest",
                    "/usr/bin/python3", "/peer.py", "origin", "/certificates"}),
            "the origin");
}

Ran Pod::podman(Strings arguments) const {
    arguments.insert(arguments.begin(), "podman");
    return run_program(std::move(arguments), options_);
}

Ran Pod::in_app(const std::string& script) const { return podman({"exec", "agent-app", "/bin/sh", "-c", script}); }

Ran Pod::in_app_in_the_end(const std::string& script) const {
    return in_app("for i in $(seq 60); do if (" + script + "); then exit 0; fi; sleep 0.5; done; exit 1");
}

Ran Pod::attack(const std::string& test_case) const { return in_app(attack_script(test_case)); }

std::string Pod::logs(const std::string& container) const {
    const auto logs = podman({"logs", container});
    return logs.out + logs.err;
}

std::vector<nlohmann::json> Pod::arrived() const {
    std::vector<nlohmann::json> requests;
    std::istringstream lines(logs("origin"));
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("{")) requests.push_back(nlohmann::json::parse(line));
    return requests;
}

// A new folder, to which one link is turned in one step (kubernetes, pkg/volume/util/atomic_writer.go).
void Pod::write_policy(const std::string& policy) {
    auto place = podman({"volume", "inspect", "-f", "{{.Mountpoint}}", "sallyport-policy"}).out;
    place.resize(place.find('\n'));
    const fs::path directory(place);
    const auto version = "..version_" + std::to_string(++versions_);
    fs::create_directory(directory / version);
    for (const auto* file : {"policy.toml", "origin-ca.pem"})
        fs::copy_file(directory / file, directory / version / file);
    std::ofstream(directory / version / "policy.toml") << policy;
    fs::create_directory_symlink(version, directory / "..data_tmp");
    fs::rename(directory / "..data_tmp", directory / "..data");
    for (const auto* file : {"policy.toml", "origin-ca.pem"}) {  // links from the second time on
        fs::create_symlink(fs::path("..data") / file, directory / "link");
        fs::rename(directory / "link", directory / file);
    }
}

}  // namespace sallyport::test
