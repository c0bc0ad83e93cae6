#include "container/trust_install.hpp"

#include <dirent.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "container/files.hpp"
#include "container/java_trust_store.hpp"
#include "container/trust_files.hpp"
#include "container/trust_layout.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxCloneEntries = 8192;

/// One thing in a directory that is to be cloned, held in memory while a tmpfs takes the directory's place.
struct Entry {
    std::string path;     ///< relative
    fs::file_type type;   ///< regular, symlink or directory
    std::string content;  ///< bytes, or the link's target
    mode_t mode;
};

std::vector<Entry> read_directory(const std::string& directory) {
    std::vector<Entry> entries;
    for (auto it = fs::recursive_directory_iterator(directory, fs::directory_options::skip_permission_denied);
         it != fs::recursive_directory_iterator(); ++it) {
        Entry entry{it->path().lexically_relative(directory), fs::file_type::symlink, {}, 0};
        if (it->is_symlink()) {  // most of them, and known without a system call
            entry.content = fs::read_symlink(it->path());
        } else {
            const auto status = it->status();
            entry.type = status.type();
            entry.mode = static_cast<mode_t>(status.permissions());
            auto content = entry.type == fs::file_type::regular ? read_file(it->path()) : std::string();
            const bool readable = content.has_value();  // not so a private key that is not ours
            if (!readable || (entry.type != fs::file_type::regular && entry.type != fs::file_type::directory)) continue;
            entry.content = std::move(*content);
        }
        entries.push_back(std::move(entry));
        if (entries.size() > kMaxCloneEntries) throw StartupError(directory + " holds too many files to be copied");
    }
    return entries;
}

void clone_directory(const std::string& directory) {
    const auto entries = read_directory(directory);
    if (::mount("tmpfs", directory.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=64m") != 0)
        throw system_error("cannot put a copy over " + directory, errno);
    for (const auto& entry : entries) {
        const auto path = directory + "/" + entry.path;
        if (entry.type == fs::file_type::directory) ::mkdir(path.c_str(), entry.mode);
        else if (entry.type == fs::file_type::regular) write_file(path, entry.content, entry.mode);
        else if (::symlink(entry.content.c_str(), path.c_str()) != 0) throw system_error("cannot copy " + path, errno);
    }
}

void make_read_only(const std::string& mount_point) {
    if (::mount(nullptr, mount_point.c_str(), nullptr,
                MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
        throw system_error("cannot make " + mount_point + " read-only", errno);
}

void replace(const TrustPlan::Replacement& target, const char* source) {
    if (target.in_clone) {
        write_file(target.path, read_file(source).value_or(""), 0644);
    } else if (::mount(source, target.path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
        throw system_error("cannot put our certificates over " + target.path, errno);
    }
}

/// Chromium reads policies here, and lists of certificates only from itself and from its user's profile.
void tell_browser(const std::string& directory, const std::string& ca_pem) {
    clone_directory(directory);
    fs::create_directories(directory + kBrowserPolicies);
    write_file(directory + kBrowserPolicies + "/" + kBrowserPolicyName, browser_policy(ca_pem), 0444);
}

std::string merged_bundle(const TrustPlan& plan, const TrustRequest& request) {
    std::string bundle;
    if (!plan.base_bundle.empty()) bundle = read_file(plan.base_bundle).value_or("");
    for (const auto& path : request.extra) {
        std::error_code error;
        if (fs::canonical(path, error) == plan.base_bundle || error) continue;
        append_pem(bundle, certificate_blocks(read_file(path).value_or("")));
    }
    append_pem(bundle, request.ca_pem);
    return bundle;
}

}  // namespace

TrustRequest trust_request(const std::string& ca_pem, std::span<const std::string> environment, bool writable) {
    return {ca_pem,
            environment_value(environment, "HOME"),
            environment_value(environment, "JAVA_HOME"),
            own_bundles(environment),
            own_node_extra(environment),
            writable};
}

void install_trust(const TrustRequest& request) {
    const auto& ca_pem = request.ca_pem;
    const auto plan = plan_trust(look_up(trust_candidates(request.home, request.java_home)));
    const auto hash = subject_hash(ca_pem);
    const auto bundle = merged_bundle(plan, request);

    write_file(kCaFile, ca_pem, 0444);
    write_file(kBundleFile, bundle, 0444);
    if (!request.node_extra.empty()) {
        std::string both = certificate_blocks(read_file(request.node_extra).value_or(""));
        append_pem(both, ca_pem);
        write_file(kNodeExtraFile, both, 0444);
    }
    if (!plan.java_stores.empty()) write_file(kJavaStoreFile, java_trust_store(certificates_of(bundle)), 0444);

    for (const auto& clone : plan.clones) {
        clone_directory(clone.directory);
        // The tools that rebuild bundles take "*.crt" for an anchor, and link "*.pem".
        write_file(clone.directory + "/" + kCaName + (clone.hashed ? ".pem" : ".crt"), ca_pem, 0444);
        if (clone.hashed) add_hash_link(clone.directory, hash);
    }
    for (const auto& target : plan.bundles) replace(target, kBundleFile);
    for (const auto& target : plan.java_stores) replace(target, kJavaStoreFile);
    for (const auto& directory : plan.browsers) tell_browser(directory, ca_pem);
    if (request.writable) return;
    for (const auto& clone : plan.clones) make_read_only(clone.directory);
    for (const auto& directory : plan.browsers) make_read_only(directory);
}

}  // namespace sallyport::container
