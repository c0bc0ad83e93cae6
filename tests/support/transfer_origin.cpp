#include "tests/support/transfer_origin.hpp"

#include <sstream>
#include <stdexcept>

namespace sallyport::test {

TransferOrigin::TransferOrigin()
    : StandIn(std::vector<std::string>{"node", SALLYPORT_SOURCE_DIR "/tests/clients/transfer_origin.js"}) {}

std::string TransferOrigin::address_of(Speaks speaks) const {
    std::istringstream ports(port());
    std::string one;
    for (int i = 0; i <= static_cast<int>(speaks); ++i) ports >> one;
    const bool tls = speaks == Speaks::https1 || speaks == Speaks::https2;
    return (tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + one;
}

std::string TransferOrigin::route(const std::string& host, Speaks speaks) const {
    return "[[route]]\nhost = \"" + host + "\"\nto = \"" + address_of(speaks) + "\"\n";
}

std::string TransferOrigin::serves(const std::string& host, Speaks speaks) const {
    return "[[allow]]\nhost = \"" + host + "\"\n" + route(host, speaks);
}

std::string TransferOrigin::ask(const std::string& path) const {
    const auto answer = run_program({"curl", "-sSf", address_of(Speaks::http1) + path});
    if (!answer.exited_with(0)) throw std::runtime_error("the origin does not answer: " + answer.shown());
    return answer.out;
}

std::uint64_t TransferOrigin::moved(const std::string& name, std::uint64_t least) const {
    return std::stoull(ask("/moved/" + name + "/" + std::to_string(least)));
}

void TransferOrigin::move(const std::string& name, std::uint64_t bytes) const {
    ask("/move/" + name + "/" + std::to_string(bytes));
}

}  // namespace sallyport::test
