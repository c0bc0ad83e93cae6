#include "gateway/app/file_marks.hpp"

#include <sys/stat.h>

namespace sallyport::app {
namespace {

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

}  // namespace

std::optional<FileMark> mark_of(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
    return FileMark{info.st_dev, info.st_ino, info.st_size, nanoseconds(info.st_mtim), nanoseconds(info.st_ctim)};
}

FileMarks look_again(const FileMarks& files) {
    FileMarks now;
    for (const auto& [path, mark] : files) now.emplace(path, mark_of(path));
    return now;
}

}  // namespace sallyport::app
