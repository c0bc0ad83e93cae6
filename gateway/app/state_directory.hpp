#pragma once

#include <filesystem>

namespace sallyport::app {

/// Where the certificate authority is kept: $XDG_DATA_HOME/sallyport, else ~/.local/share/sallyport; for root
/// /var/lib/sallyport. Throws StartupError when there is no home to put it in.
std::filesystem::path state_directory();

}  // namespace sallyport::app
