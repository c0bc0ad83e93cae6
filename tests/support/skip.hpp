#pragma once

#include <string>

namespace sallyport::test {

/// Says that a test cannot run here, and why; where CI is set it fails instead. The test returns after it.
void skip(const std::string& why);

}  // namespace sallyport::test
