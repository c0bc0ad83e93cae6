// What a decision costs, in nanoseconds, by the number of rules: the same function that the gateway asks for each
// request. Prints JSON: the median of many batches for each number and each way that rules can be spread.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "gateway/policy/decide.hpp"
#include "gateway/policy/load.hpp"

using namespace sallyport::policy;

namespace {

constexpr int kBatches = 51;
constexpr std::chrono::duration<double> kBatch{0.002};

/// `count` rules, `each_host` of them for every host; the request that is asked about meets the last one.
std::shared_ptr<const Policy> make_policy(int count, int each_host) {
    std::string text;
    for (int i = 0; i < count; ++i)
        text += "[[allow]]\nhost = \"host-" + std::to_string(i / each_host) +
                ".bench.test\"\nmethod = [\"GET\", \"POST\"]\npath = \"/v1/projects/" + std::to_string(i) + "/**\"\n";
    const auto loaded = load(text, "bench.toml");
    if (const auto* policy = std::get_if<std::shared_ptr<const Policy>>(&loaded)) return *policy;
    throw std::runtime_error(std::get<std::vector<Mistake>>(loaded).front().to_string());
}

/// Seconds for so many decisions, each of which allows.
std::chrono::duration<double> time_for(int decisions, const Policy& policy, const Destination& to,
                                       const Target& target) {
    int allowed = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < decisions; ++i) allowed += decide_request(policy, to, {"GET", target}).allowed;
    const auto took = std::chrono::steady_clock::now() - begin;
    if (allowed != decisions) throw std::runtime_error("the last rule should allow it");
    return took;
}

double nanoseconds(int count, int each_host) {
    const auto policy = make_policy(count, each_host);
    const Destination to{"host-" + std::to_string((count - 1) / each_host) + ".bench.test", 443};
    std::string why;
    const auto target = normalise_target("/v1/projects/" + std::to_string(count - 1) + "/items?page=2", why);
    if (!target) throw std::runtime_error(why);
    time_for(1, *policy, to, *target);
    const int each = std::max(1, static_cast<int>(kBatch / time_for(1, *policy, to, *target)));
    std::vector<double> batches;
    for (int batch = 0; batch < kBatches; ++batch)
        batches.push_back(time_for(each, *policy, to, *target).count() / each * 1e9);
    std::nth_element(batches.begin(), batches.begin() + kBatches / 2, batches.end());
    return batches[kBatches / 2];
}

}  // namespace

int main() {
    try {
        std::printf("{\"10\": %.1f, ", nanoseconds(10, 10));
        std::printf("\"10,000, ten for each host\": %.1f, ", nanoseconds(10'000, 10));
        std::printf("\"10,000, all for one host\": %.1f}\n", nanoseconds(10'000, 10'000));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_decide: %s\n", error.what());
        return 1;
    }
}
