#pragma once
// Small files, whole.

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::container {

inline constexpr std::size_t kMaxFileSize = 8u << 20;

/// nullopt when the file is missing, not readable or longer than kMaxFileSize.
std::optional<std::string> read_file(const std::string& path);
/// Creates the file with exactly this mode, replacing one (or a symbolic link) of that name. Throws StartupError.
void write_file(const std::string& path, std::string_view content, mode_t mode);
/// True for `directory` itself and everything below it. Compares text: both must be free of "." and "..".
bool is_within(std::string_view path, std::string_view directory);

}  // namespace sallyport::container
