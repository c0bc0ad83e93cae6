#include "gateway/base/startup_error.hpp"

#include <system_error>

namespace sallyport {

StartupError system_error(const std::string& what, int error_number) {
    return StartupError(what + ": " + std::generic_category().message(error_number));
}

}  // namespace sallyport
