#pragma once

#include <string>

#include "gateway/base/result.hpp"

namespace sallyport::secrets {

/// A whole file; of a longer one `most` + 1 bytes. The error is a clause about the file, with the remedy where one is
/// known. Who puts secrets into strings overwrites them: CleanseAtExit.
Result<std::string> read_file(const std::string& name, std::size_t most);

}  // namespace sallyport::secrets
