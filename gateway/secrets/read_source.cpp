#include "gateway/secrets/read_source.hpp"

#include <openssl/crypto.h>

#include <cstdlib>
#include <cstring>

#include "gateway/base/startup_error.hpp"
#include "gateway/secrets/read_file.hpp"

namespace sallyport::secrets {
namespace {

constexpr std::chrono::seconds kCommandLimit{10};

/// "secret "NAME" (file:line): ...". The value is never part of a message.
StartupError failure(const policy::SecretRule& rule, const std::string& what) {
    return StartupError("secret \"" + rule.name + "\" (" + rule.where.to_string() + "): " + what);
}

std::string from_environment(const policy::SecretRule& rule, const std::string& variable) {
    char* value = std::getenv(variable.c_str());
    if (value == nullptr)
        throw failure(rule, "the environment variable " + variable + " is not set; export it before the start");
    std::string text = value;
    OPENSSL_cleanse(value,
                    text.size());  // in place, where /proc/PID/environ shows it and what we start would inherit it
    return text;
}

std::string from_file(const policy::SecretRule& rule, const std::string& name) {
    auto content = read_file(name, kMaxSecretBytes);
    if (!content) throw failure(rule, content.error().detail);
    return std::move(*content);
}

std::string from_command(const policy::SecretRule& rule, const std::vector<std::string>& command,
                         const RunCommand& run) {
    auto output = run(command, kCommandLimit);
    if (!output) throw failure(rule, "the command " + command.front() + " " + output.error().detail);
    return std::move(*output);
}

std::string raw_value(const policy::SecretRule& rule, const RunCommand& run) {
    if (rule.value.env) return from_environment(rule, *rule.value.env);
    if (rule.value.file) return from_file(rule, *rule.value.file);
    if (rule.value.command && !rule.value.command->empty()) return from_command(rule, *rule.value.command, run);
    throw failure(rule, "its value has no source; give env, file or command");
}

}  // namespace

SecretValue read_source(const policy::SecretRule& rule, const RunCommand& run) {
    std::string text = raw_value(rule, run);
    const CleanseAtExit cleanse(text);
    std::size_t size = text.size();
    if (size > kMaxSecretBytes) throw failure(rule, "its value is longer than 64 KiB");
    if (size > 0 && text[size - 1] == '\n') --size;
    if (size > 0 && text[size - 1] == '\r') --size;
    if (size == 0) throw failure(rule, "its value is empty; check where it comes from");
    // A line break would let the value end its header field and begin another one.
    for (std::size_t i = 0; i < size; ++i)
        if (static_cast<unsigned char>(text[i]) < 0x20 || text[i] == 0x7f)
            throw failure(rule, "its value has several lines or control characters; a secret is one line of text");
    if (text[0] == ' ' || text[size - 1] == ' ')
        throw failure(rule, "its value begins or ends with a space, which no header field keeps; remove it");
    return SecretValue(std::span<char>(text.data(), size));
}

}  // namespace sallyport::secrets
