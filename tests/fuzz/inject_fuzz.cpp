// Secrets on their way into a request: a foreign placeholder is refused wherever it stands, a refusal changes nothing,
// nothing is put in without TLS, no placeholder of a bound secret is left in a header, and what a client sent in the
// place of a secret is gone. Input: a byte of flags, then the target and the fields, one a line.

#include "gateway/secrets/base64.hpp"
#include "gateway/secrets/inject.hpp"
#include "tests/fuzz/require.hpp"

using namespace sallyport;
using fuzz::require;

namespace {

constexpr std::string_view kPlaceholder = "dummy-one";
constexpr std::string_view kForeign = "alien-token";
constexpr std::string_view kReal[] = {"r3al-va1ue", "k3y-va1ue", "p4ss-va1ue"};

secrets::SecretValue value(std::string_view text) {
    std::string copy(text);
    return secrets::SecretValue(std::span<char>(copy.data(), copy.size()));
}

struct Vault {
    std::array<policy::SecretRule, 3> rules;
    policy::SecretRule foreign;
    std::array<secrets::SecretValue, 3> values{value(kReal[0]), value(kReal[1]), value(kReal[2])};
    secrets::HostSecrets host;

    explicit Vault(bool set) {
        rules[0].name = "replaced";
        rules[0].placeholder = kPlaceholder;
        rules[1].name = "header";
        rules[1].header = "X-Key";
        rules[1].format = "Bearer {}";
        rules[2].name = "basic";
        rules[2].basic_user = "git";
        foreign.name = "foreign";
        foreign.placeholder = kForeign;
        for (std::size_t i = 0; i < (set ? 3 : 1); ++i) host.bound.push_back({rules[i], values[i], {}});
        host.foreign.push_back(&foreign);
    }
};

bool holds_real(std::string_view text) {
    return std::any_of(std::begin(kReal), std::end(kReal), [&](auto real) { return text.find(real) != text.npos; });
}

bool same(const wire::Fields& a, const wire::Fields& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const auto& x, const auto& y) { return x.name == y.name && x.value == y.value; });
}

void check_injected(const wire::Fields& before, const wire::Fields& after, bool set) {
    for (const auto& [name, value, sensitive] : after) {
        require(value.find(kForeign) == value.npos && name.find(kForeign) == name.npos);
        if (wire::equal_ignoring_case(name, "Host")) continue;
        require(value.find(kPlaceholder) == value.npos);
        require(sensitive || !holds_real(value));
        require(value.find_first_of("\r\n") == value.npos);
    }
    require(wire::find(after, "Host") == wire::find(before, "Host"));
    if (!set) return require(after.size() == before.size());
    require(wire::count(after, "X-Key") == 1 && wire::find(after, "X-Key") == "Bearer " + std::string(kReal[1]));
    require(wire::count(after, "Authorization") == 1);
    require(wire::find(after, "Authorization") == "Basic " + secrets::base64_encode("git:" + std::string(kReal[2])));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Vault kVaults[] = {Vault(false), Vault(true)};
    if (size < 1) return 0;
    auto input = fuzz::text(data + 1, size - 1);
    if (holds_real(input) || input.find('\r') != input.npos) return 0;
    const bool tls = data[0] & 1;
    const bool set = data[0] & 2;
    const std::string target(fuzz::take_line(input));
    wire::Fields fields;
    bool foreign = target.find(kForeign) != target.npos;
    while (!input.empty()) {
        const auto line = fuzz::take_line(input);
        const auto colon = std::min(line.find(": "), line.size());
        foreign = foreign || line.substr(0, colon).find(kForeign) != line.npos ||
                  line.substr(colon).find(kForeign) != line.npos;
        fields.push_back(
            {std::string(line.substr(0, colon)), std::string(line.substr(std::min(colon + 2, line.size())))});
    }
    const auto before = fields;
    const auto result = secrets::inject(kVaults[set].host, {"h.example", tls, target}, fields);
    if (const auto* refused = std::get_if<secrets::InjectionRefused>(&result)) {
        require(same(fields, before) && fuzz::printable(refused->reason) && !holds_real(refused->reason));
        require(refused->alarm || !tls);
        return 0;
    }
    require(!foreign);
    const auto& names = std::get<secrets::Injected>(result).names;
    if (!tls) return require(same(fields, before) && names.empty()), 0;
    require(!set || names.size() >= 2);
    check_injected(before, fields, set);
    return 0;
}
