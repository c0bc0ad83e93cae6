#include "container/namespace_help.hpp"

#include <cerrno>
#include <charconv>
#include <cstring>

#include "container/files.hpp"

namespace sallyport::container {
namespace {

std::optional<long> read_number(const char* path) {
    const auto text = read_file(path);
    long value = 0;
    if (!text || std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc())
        return std::nullopt;
    return value;
}

std::string switched_off(const std::string& setting, const std::string& value) {
    return "unprivileged user namespaces are switched off here (" + setting +
           "). Run `sudo sallyport run ...`, or allow them: `sudo sysctl -w " + setting.substr(0, setting.find('=')) +
           "=" + value + "`";
}

}  // namespace

NamespaceSettings read_namespace_settings() {
    const auto status = read_file("/proc/self/status").value_or("");
    return {read_number("/proc/sys/kernel/unprivileged_userns_clone"),
            read_number("/proc/sys/user/max_user_namespaces"),
            read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            status.find("\nSeccomp:") != status.npos && status.find("\nSeccomp:\t0") == status.npos};
}

std::string explain_refusal(int error, const NamespaceSettings& settings) {
    const std::string start = "cannot make a sandbox: ";
    if (settings.unprivileged_clone == 0) return start + switched_off("kernel.unprivileged_userns_clone=0", "1");
    if (settings.max_namespaces == 0) return start + switched_off("user.max_user_namespaces=0", "15000");
    if (settings.apparmor_restricts == 1)
        return start + switched_off("kernel.apparmor_restrict_unprivileged_userns=1", "0");
    if (settings.system_calls_filtered)
        return start +
               "this container's seccomp profile refuses new namespaces. Start the container with "
               "--security-opt seccomp=unconfined --security-opt systempaths=unconfined, or use the compose "
               "layout, which needs neither";
    if (error == EACCES)
        return start +
               "AppArmor or SELinux refuses it. In a container: --security-opt apparmor=unconfined (or "
               "label=disable); else run `sudo sallyport run ...`";
    return start + std::strerror(error) + ". Run `sudo sallyport run ...`";
}

}  // namespace sallyport::container
