#include "tests/support/stand_in.hpp"

#include <openssl/pem.h>
#include <stdlib.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>

#include "gateway/base/startup_error.hpp"

namespace sallyport::test {
namespace {

void write_identity(const testing::Identity& identity, const std::filesystem::path& directory) {
    std::ofstream(directory / "certificate.pem") << testing::to_pem(identity.certificate.get());
    const tls::BioPtr file(BIO_new_file((directory / "key.pem").c_str(), "w"));
    if (!file || PEM_write_bio_PrivateKey(file.get(), identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
        throw std::runtime_error("cannot write the stand-in's key");
}

}  // namespace

TempDirectory::TempDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "sallyport-clients-XXXXXX";
    if (!::mkdtemp(name.data())) throw system_error("mkdtemp", errno);
    path_ = name;
}

TempDirectory::~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::vector<std::string> StandIn::command(std::vector<std::string> program) const {
    write_identity(ca_.good(name_), directory_.path());
    std::filesystem::create_directory(repositories());
    program.insert(program.end(), {directory_.path() / "certificate.pem", directory_.path() / "key.pem", kKey,
                                   repositories(), directory_.path() / "requests.jsonl", address_});
    return program;
}

StandIn::StandIn(std::string address, std::string name)
    : StandIn({"python3", SALLYPORT_SOURCE_DIR "/tests/clients/stand_in.py"}, std::move(address), std::move(name)) {}

StandIn::StandIn(std::vector<std::string> program, std::string address, std::string name)
    : address_(std::move(address)),
      name_(name.empty() ? address_ : std::move(name)),
      ca_("Stand-in CA"),
      server_(command(std::move(program)), {}),
      port_(server_.first_line()) {}

std::string StandIn::route(const std::string& host) const {
    return "[[route]]\nhost = \"" + host + "\"\nto = \"https://" + address_ + ":" + port_ + "\"\n";
}

std::vector<nlohmann::json> StandIn::requests() const { return read_json_lines(directory_.path() / "requests.jsonl"); }

std::vector<nlohmann::json> read_json_lines(const std::filesystem::path& file) {
    std::vector<nlohmann::json> lines;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
}

}  // namespace sallyport::test
