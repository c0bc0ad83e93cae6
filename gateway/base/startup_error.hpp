#pragma once
// The one exception of the start-up phase. Nothing throws it once a sandbox runs.

#include <stdexcept>
#include <string>

namespace sallyport {

/// A condition that stops the start: one sentence that says what failed and, where one is known, what to type.
struct StartupError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// "WHAT: strerror(error_number)".
StartupError system_error(const std::string& what, int error_number);

}  // namespace sallyport
