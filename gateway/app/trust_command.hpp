#pragma once

#include <string>

namespace sallyport::app {

/// `sallyport trust`: prints a line for each file that changed. Throws StartupError; otherwise 0.
int trust(const std::string& ca_file);

}  // namespace sallyport::app
