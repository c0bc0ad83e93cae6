#include "tests/support/rules.hpp"

#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

#include "gateway/policy/load.hpp"

namespace sallyport::test {

session::Rules rules_of(const std::string& toml) {
    auto loaded = policy::load(toml, "test.toml");
    if (auto* mistakes = std::get_if<std::vector<policy::Mistake>>(&loaded))
        throw std::runtime_error(mistakes->front().to_string());
    session::Rules rules;
    rules.policy = std::get<std::shared_ptr<const policy::Policy>>(loaded);
    rules.secrets = std::make_shared<secrets::Store>(rules.policy);
    return rules;
}

std::string temporary_file() {
    std::string name = "/tmp/sallyport-test-XXXXXX";
    ::close(::mkstemp(name.data()));
    return name;
}

}  // namespace sallyport::test
