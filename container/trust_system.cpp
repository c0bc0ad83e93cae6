#include "container/trust_system.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>

#include "container/files.hpp"
#include "container/java_trust_store.hpp"
#include "container/trust_files.hpp"
#include "container/trust_layout.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProfile = "/etc/profile.d/sallyport.sh";  // login shells
constexpr const char* kEnvironment = "/etc/environment";         // what PAM starts: su, sudo, sshd, cron

/// Read by shells that are no login shells, where they exist.
constexpr std::array kShellFiles = {"/etc/bash.bashrc", "/etc/bashrc", "/etc/bash/bashrc", "/etc/zsh/zshenv",
                                    "/etc/zshenv"};

/// The groups that Debian itself hands out (staff, for /usr/local) are root's.
bool is_roots(const struct stat& info) {
    constexpr gid_t kFirstGroupOfOthers = 100;
    if (info.st_uid != 0 && info.st_uid != ::geteuid()) return false;
    if (S_ISLNK(info.st_mode)) return true;
    const bool groups = info.st_gid < kFirstGroupOfOthers || info.st_gid == ::getegid();
    return !(info.st_mode & S_IWOTH) && (groups || !(info.st_mode & S_IWGRP));
}

/// True when nobody but root can change where `path` leads to, below `root`: others could lay a link there, and what
/// is root's would be overwritten.
bool only_root_decides(const fs::path& path, const std::string& root, int links = 0) {
    constexpr int kMostLinks = 20;
    fs::path at = "/";
    for (const auto& part : path.relative_path()) {
        at = part == ".." ? at.parent_path() : part == "." ? at : at / part;  // no link in it, so far
        if (is_within(root, at.string())) continue;
        struct stat info {};
        if (::lstat(at.c_str(), &info) != 0 || !is_roots(info)) return false;
        if (!S_ISLNK(info.st_mode)) continue;
        const auto target = at.parent_path() / fs::read_symlink(at);
        if (links == kMostLinks || !only_root_decides(target, root, links + 1)) return false;
        at = fs::canonical(target);
    }
    return true;
}

class System {
public:
    System(std::string root, const std::string& ca_pem) : root_(std::move(root)), ca_(certificate_blocks(ca_pem)) {}

    std::vector<std::string> trust() {
        const auto hash = subject_hash(ca_);
        const auto plan = this->plan();
        const auto before = installed_before(plan);
        for (const auto& bundle : plan.bundles) put(bundle.path, with_our_ca(bundle.path, before));
        for (const auto& directory : plan.clones) {
            // The tools that rebuild bundles take "*.crt" for an anchor, and link "*.pem".
            put(directory.directory + "/" + kCaName + (directory.hashed ? ".pem" : ".crt"), ca_);
            if (directory.hashed && add_hash_link(directory.directory, hash))
                changed_.push_back(directory.directory + "/" + hash + ".N");
        }
        const auto certificates = certificates_of(read_file(plan.base_bundle).value_or(""));
        for (const auto& store : plan.java_stores) put(store.path, java_trust_store(certificates));
        tell_browsers();
        set_variables(plan.base_bundle.substr(root_.size()));
        return std::move(changed_);
    }

private:
    TrustPlan plan() const {
        auto candidates = trust_candidates("", "");
        for (auto* list : {&candidates.bundles, &candidates.hash_directories, &candidates.anchor_directories,
                           &candidates.java_stores})
            for (auto& path : *list) path = root_ + path;
        const auto acceptable = [this](const std::string& path) { return only_root_decides(path, root_); };
        const auto listing = look_up(candidates, acceptable);
        if (!listing.bundles.empty()) return plan_trust(listing);
        // A system that trusts nobody yet: programs that come later look where Debian has it, and so does Go.
        fs::create_directories(root_ + "/etc/ssl/certs");
        fs::create_directories(root_ + "/usr/local/share/ca-certificates");
        write_file(root_ + "/etc/ssl/certs/ca-certificates.crt", "", 0644);
        return plan_trust(look_up(candidates, acceptable));
    }

    std::string installed_before(const TrustPlan& plan) const {
        for (const auto& directory : plan.clones)
            for (const auto* ending : {".pem", ".crt"})
                if (const auto found = read_file(directory.directory + "/" + kCaName + ending)) return *found;
        return {};
    }

    std::string with_our_ca(const std::string& path, const std::string& before) const {
        const auto text = read_file(path);
        if (!text) throw StartupError("cannot read " + path + ", or it is larger than any list of certificates");
        auto bundle = *text;
        if (const auto at = bundle.find(before); !before.empty() && before != ca_ && at != bundle.npos)
            bundle.erase(at, before.size());
        if (bundle.find(ca_) == bundle.npos) append_pem(bundle, ca_);
        return bundle;
    }

    /// Also those that come later.
    void tell_browsers() {
        for (const auto& directory : trust_candidates("", "").browser_directories) {
            const auto policies = root_ + directory + kBrowserPolicies;
            fs::path there = policies;
            while (!fs::exists(fs::symlink_status(there))) there = there.parent_path();
            if (!only_root_decides(there, root_)) continue;
            fs::create_directories(policies);
            put(policies + "/" + kBrowserPolicyName, browser_policy(ca_));
        }
    }

    void set_variables(const std::string& bundle) {
        std::string exports =
            "# Programs with certificates of their own: use the system's, the gateway's CA among them.\n";
        std::string environment = read_file(root_ + kEnvironment).value_or("");
        for (const auto& [variable, value] : system_trust_environment(bundle)) {
            exports += "export " + variable + "=" + value + "\n";
            environment = with_line(without_lines(environment, variable + "="), variable + "=" + value);
        }
        fs::create_directories(root_ + "/etc/profile.d");
        put(root_ + kProfile, exports);
        put(root_ + kEnvironment, environment);
        for (const auto* file : kShellFiles) {
            const auto text = read_file(root_ + file);
            const auto line = std::string(". ") + kProfile;
            if (text && text->find(line) == text->npos) put(root_ + file, with_line(*text, line));
        }
    }

    static std::string with_line(std::string text, const std::string& line) {
        append_pem(text, line);
        return text + '\n';
    }

    static std::string without_lines(std::string_view text, const std::string& start) {
        std::string kept;
        while (!text.empty()) {
            const auto line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
            if (!line.starts_with(start)) kept += line;
            text.remove_prefix(line.size());
        }
        return kept;
    }

    /// All at once, or not at all.
    void put(const std::string& path, const std::string& content) {
        if (read_file(path) == content) return;
        struct stat old {};
        const bool replaces = ::stat(path.c_str(), &old) == 0;
        const auto beside = path + ".sallyport-new";
        write_file(beside, content, replaces ? old.st_mode & 07777 : 0644);
        if (::rename(beside.c_str(), path.c_str()) != 0) {
            const int error = errno;
            ::unlink(beside.c_str());
            throw system_error("cannot replace " + path, error);
        }
        changed_.push_back(path);
    }

    std::string root_, ca_;
    std::vector<std::string> changed_;
};

}  // namespace

std::vector<std::string> trust_on_system(const std::string& ca_pem, const std::string& root) {
    try {
        std::error_code error;
        // As look_up() will name what it finds.
        const auto real = root.empty() ? fs::path() : fs::canonical(root, error);
        return System(real.string(), ca_pem).trust();
    } catch (const fs::filesystem_error& error) {
        throw StartupError(error.what());
    }
}

}  // namespace sallyport::container
