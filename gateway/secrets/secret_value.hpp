#pragma once
// A secret in memory.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sallyport::secrets {

inline constexpr const char* kSecretsDoNotFit =
    "the secrets, old and new ones together, do not fit into the memory that is locked";

/// Lives in one block of its own, which is overwritten when it is freed; in OpenSSL's secure heap, locked and in no
/// core dump, where the program has made one (gateway/app/harden.hpp). It cannot be copied or printed; reveal() is the
/// one way to its bytes, so that a search for that word finds every use.
class SecretValue {
public:
    /// Overwrites `bytes`: the source's buffer holds no copy afterwards. Throws StartupError: the secure heap is full.
    explicit SecretValue(std::span<char> bytes);

    /// Valid as long as the object.
    std::string_view reveal() const { return {bytes_.get(), bytes_.get_deleter().size}; }

private:
    struct Cleanse {
        std::size_t size = 0;
        void operator()(char* bytes) const;
    };
    std::unique_ptr<char[], Cleanse> bytes_;
};

/// Overwrites what a temporary string holds, however the function is left.
class CleanseAtExit {
public:
    explicit CleanseAtExit(std::string& text) : text_(text) {}
    ~CleanseAtExit();
    CleanseAtExit(const CleanseAtExit&) = delete;
    CleanseAtExit& operator=(const CleanseAtExit&) = delete;

private:
    std::string& text_;
};

}  // namespace sallyport::secrets
