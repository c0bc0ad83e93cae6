// Where the program begins: gateway/app/command_line.cpp goes on.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "gateway/app/command_line.hpp"
#include "gateway/base/startup_error.hpp"
#ifdef SALLYPORT_WIPING_HEAP
#include "gateway/wiping_heap.hpp"
#endif

namespace {

/// Whoever closed one of these for us: its number would go to the next file or connection that we open, and error
/// messages into that.
void open_standard_descriptors() {
    int fd = -1;
    do fd = ::open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
    open_standard_descriptors();
#ifdef SALLYPORT_WIPING_HEAP
    sallyport::make_openssl_wipe();
#endif
    try {
        return sallyport::app::command_line(argc, argv);
    } catch (const sallyport::StartupError& error) {
        fmt::print(stderr, "sallyport: {}\n", error.what());
    } catch (const std::exception& error) {
        fmt::print(stderr, "sallyport: internal error: {}\n", error.what());
    }
    return sallyport::app::kOwnFailure;
}
