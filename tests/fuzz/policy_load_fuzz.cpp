// Any text is a policy or a list of mistakes in order; a policy can be asked.

#include <cstdint>
#include <cstdlib>

#include "gateway/policy/decide.hpp"
#include "gateway/policy/explain.hpp"
#include "gateway/policy/load.hpp"

using namespace sallyport::policy;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto loaded = load({reinterpret_cast<const char*>(data), size}, "fuzz.toml");
    if (const auto* mistakes = std::get_if<std::vector<Mistake>>(&loaded)) {
        require(!mistakes->empty());
        for (const Mistake& mistake : *mistakes) require(!mistake.message.empty());
        return 0;
    }
    const Policy& policy = *std::get<std::shared_ptr<const Policy>>(loaded);
    std::string error;
    for (const Rule& rule : policy.rules()) {
        require(!rule.hosts.empty());
        for (const HostPattern& host : rule.hosts) {
            require(host.matches(host.name()) == (host.kind() != HostPattern::Kind::subdomains));
            require(!explain(policy, "GET", "https://" + host.name() + "/a", error).empty() ||
                    host.name().find(':') != std::string::npos);
        }
    }
    for (const SecretRule& secret : policy.secrets()) require(secret.format.find("{}") != std::string::npos);
    return 0;
}
