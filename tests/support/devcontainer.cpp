#include "tests/support/devcontainer.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "tests/support/sandbox.hpp"

namespace sallyport::test {
namespace {

constexpr const char* kSource = SALLYPORT_SOURCE_DIR;

/// What devcontainer.json starts from, as far as it is used here: no image can be pulled everywhere.
constexpr const char* kNodeImage = R"(FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl git nodejs npm sudo \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --shell /bin/bash --uid 1000 node
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
)";

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

Ran must(std::vector<std::string> command, const ShellOptions& options) {
    auto ran = run_program(std::move(command), options);
    if (!ran.exited_with(0)) throw std::runtime_error(ran.shown());
    return ran;
}

}  // namespace

std::unique_ptr<Devcontainer> Devcontainer::bring_up() {
    std::unique_ptr<Devcontainer> self(new Devcontainer);
    auto& options = self->options_;
    options.environment = {"HOME=" + self->directory_.path().string(), "CLAUDE_CODE_VERSION=2.1.197",
                           "DOCKER_BUILDKIT=0"};  // whose cache holds the program's image already
    for (char** entry = environ; entry && *entry; ++entry)
        if (!std::string_view(*entry).starts_with("HOME=")) options.environment.emplace_back(*entry);
    options.limit = std::chrono::minutes(30);
    if (!std::getenv("SALLYPORT_TEST_ENGINE")) {
        skip("the container tests run inside scripts/test-engine");
        return nullptr;
    }
    auto image_options = options;
    image_options.input = kNodeImage;
    must({"docker", "build", "-t", "node:20-bookworm", "-"}, image_options);
    auto install = options;
    install.environment.erase(install.environment.begin());
    if (const char* home = std::getenv("HOME")) install.environment.push_back(std::string("HOME=") + home);
    self->program_ = first_line(must({std::string(kSource) + "/scripts/install-devcontainer-cli"}, install).out);

    // As on a person's machine: the key belongs to the user, whose number is that of node.
    const auto secrets = self->directory_.path() / ".config/sallyport/secrets";
    std::filesystem::create_directories(secrets);
    std::ofstream(secrets / "anthropic") << StandIn::kKey << '\n';
    ::chmod((secrets / "anthropic").c_str(), 0600);
    if (::chown((secrets / "anthropic").c_str(), 1000, 1000) != 0) throw std::runtime_error("chown of the key failed");

    const auto brought = self->up();
    if (!brought.exited_with(0)) throw std::runtime_error("devcontainer up: " + brought.shown());
    const auto told = nlohmann::json::parse(brought.out.substr(brought.out.rfind("{\"outcome\"")));
    self->container_ = told.at("containerId");
    self->bridge_address_ = self->inspect(self->container_, "{{.NetworkSettings.Gateway}}");
    self->origin_ = std::make_unique<StandIn>(self->bridge_address_);
    self->sniffer_ = self->sniff(self->container_, "left.jsonl");
    return self;
}

Devcontainer::~Devcontainer() {
    if (!container_.empty()) run_program({"docker", "rm", "-f", "-v", container_}, options_);
}

std::vector<std::string> Devcontainer::cli(std::vector<std::string> arguments) const {
    std::vector<std::string> command = {program_, arguments.front(), "--workspace-folder",
                                        kSource,  "--config",        std::string(kSource) + "/devcontainer.json"};
    command.insert(command.end(), arguments.begin() + 1, arguments.end());
    return command;
}

Ran Devcontainer::up() { return run_program(cli({"up"}), options_); }

Ran Devcontainer::exec(const std::string& script) const {
    return run_program(cli({"exec", "bash", "-c", script}), options_);
}

Ran Devcontainer::found_by_default() const {
    return run_program({program_, "read-configuration", "--workspace-folder", kSource}, options_);
}

void Devcontainer::stop() const { must({"docker", "stop", "-t", "1", container_}, options_); }

std::vector<std::string> Devcontainer::command_line(const std::string& user, const std::string& script) const {
    return {"docker", "exec", "-u", user, container_, "bash", "-c", script};
}

Ran Devcontainer::as_node(const std::string& script) const {
    return run_program(command_line("node", script), options_);
}

Ran Devcontainer::as_root(const std::string& script) const {
    return run_program(command_line("root", script), options_);
}

std::string Devcontainer::inspect(const std::string& container, const std::string& format) const {
    return first_line(must({"docker", "inspect", "-f", format, container}, options_).out);
}

std::unique_ptr<Program> Devcontainer::sniff(const std::string& container, const std::string& log) const {
    auto sniffer = std::make_unique<Program>(
        std::vector<std::string>{"python3", std::string(kSource) + "/tests/containers/sniffer.py", "docker0",
                                 inspect(container, "{{.NetworkSettings.MacAddress}}"), directory_.path() / log},
        options_);
    sniffer->first_line();
    return sniffer;
}

std::vector<nlohmann::json> Devcontainer::left_unguarded(const std::string& script) const {
    const auto image = inspect(container_, "{{.Config.Image}}");
    const auto other = first_line(must({"docker", "run", "-d", image, "sleep", "300"}, options_).out);
    {
        const auto sniffer = sniff(other, "unguarded.jsonl");
        run_program({"docker", "exec", "-u", "node", other, "bash", "-c", script}, options_);
    }
    run_program({"docker", "rm", "-f", "-v", other}, options_);
    return read_json_lines(directory_.path() / "unguarded.jsonl");
}

void Devcontainer::trust_origin() const {
    auto options = options_;
    options.input = origin_->ca_pem();
    must({"docker", "exec", "-i", "-u", "root", container_, "bash", "-c",
          "cat >/usr/local/share/ca-certificates/stand-in.crt && update-ca-certificates"},
         options);
}

void Devcontainer::write_policy(const std::string& text) const {
    std::ofstream(directory_.path() / ".config/sallyport/policy.toml") << text;
}

std::string Devcontainer::routes() const {
    auto registry = first_line(as_node("npm config get registry").out);
    registry = registry.substr(registry.find("//") + 2);
    std::string text;
    for (const auto& host :
         {std::string("api.anthropic.com"), std::string("api.github.com"), registry.substr(0, registry.find('/'))})
        text += origin_->route(host);
    return text;
}

std::vector<nlohmann::json> Devcontainer::left() const {
    auto packets = read_json_lines(directory_.path() / "left.jsonl");
    packets.erase(packets.begin(), packets.begin() + static_cast<std::ptrdiff_t>(forgotten_));
    return packets;
}

std::vector<nlohmann::json> Devcontainer::left_for_nowhere_allowed() const {
    auto packets = left();
    const auto port = std::stoi(origin_->port());
    std::erase_if(packets, [&](const nlohmann::json& packet) {
        return packet["port"] == 53 || (packet["to"] == bridge_address_ && packet["port"] == port);
    });
    return packets;
}

}  // namespace sallyport::test
