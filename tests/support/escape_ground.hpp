#pragma once
// Where an escape is tried: an outside, a folder, a policy, and the same program with and without sallyport.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/outside_recorder.hpp"

namespace sallyport::test {

class EscapeGround {
public:
    /// `nobody`: as each_user() names the users.
    explicit EscapeGround(bool nobody, const std::string& policy = "[[allow]]\nhost = \"good.example\"\n");
    ~EscapeGround();
    EscapeGround(const EscapeGround&) = delete;

    /// A TEST_CASE of this binary, marked doctest::skip(), as a command.
    static std::vector<std::string> attack(const std::string& test_case);

    std::unique_ptr<Running> without_sallyport(std::vector<std::string> command,
                                               std::function<void()> before = {}) const;
    std::unique_ptr<Running> under_sallyport(std::vector<std::string> command, std::function<void()> before = {}) const;

    /// Home and current directory of what runs, and its own.
    const std::filesystem::path& directory() const { return directory_; }
    std::string audit() const;

    std::unique_ptr<Outside> outside;  ///< null: not to be had here, which has been said
    std::vector<std::string> environment;

private:
    Launch launch(std::vector<std::string> command, std::function<void()> before) const;

    bool nobody_;
    std::filesystem::path directory_;
};

}  // namespace sallyport::test
