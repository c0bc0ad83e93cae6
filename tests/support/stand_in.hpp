#pragma once
// The origin of the client tests (tests/clients/stand_in.py, or another program like it): HTTPS, under a CA that nobody
// trusts unless told to. It is the only part of those tests that is not the real thing.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/shell.hpp"
#include "tests/support/test_ca.hpp"

namespace sallyport::test {

/// A fresh directory, removed with all that is in it.
class TempDirectory {
public:
    TempDirectory();
    TempDirectory(TempDirectory&&) = delete;
    ~TempDirectory();
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

class StandIn {
public:
    /// The only key that it answers to.
    static constexpr const char* kKey = "sk-real-b1946ac92492d2347c6235b4d2611184";

    /// Its certificate is for `name`, or else for its address.
    explicit StandIn(std::string address = "127.0.0.1", std::string name = {});
    /// Of a program of its own, which takes the arguments of stand_in.py after these.
    explicit StandIn(std::vector<std::string> program, std::string address = "127.0.0.1", std::string name = {});

    /// The policy's lines that make it the origin of `host`.
    std::string route(const std::string& host) const;
    const std::string& port() const { return port_; }
    const std::string& ca_pem() const { return ca_.pem(); }
    /// What arrived, oldest first: method, path, connection (a number), headers (names in lower case).
    std::vector<nlohmann::json> requests() const;
    /// Bare repositories in it are served below /git/ and, to those who have the key, /private/.
    std::filesystem::path repositories() const { return directory_.path() / "repositories"; }

private:
    std::vector<std::string> command(std::vector<std::string> program) const;

    std::string address_;
    std::string name_;
    TempDirectory directory_;
    testing::TestCa ca_;
    Program server_;
    std::string port_;
};

/// A file's lines, each of them JSON; none when there is no such file.
std::vector<nlohmann::json> read_json_lines(const std::filesystem::path& file);

}  // namespace sallyport::test
