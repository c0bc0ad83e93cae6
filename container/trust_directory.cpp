#include "container/trust_directory.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "container/files.hpp"
#include "container/java_trust_store.hpp"
#include "container/trust_layout.hpp"
#include "gateway/base/startup_error.hpp"

namespace sallyport::container {
namespace {

void replace_when_different(const std::string& path, const std::string& content) {
    if (read_file(path) == content) return;
    const auto fresh = path + ".new";
    write_file(fresh, content, 0644);
    if (::rename(fresh.c_str(), path.c_str()) != 0) throw system_error("cannot replace " + path, errno);
}

std::string environment_file(const std::string& ca, const std::string& bundle) {
    std::string text;
    for (const auto& [variable, file] : trust_environment({}))
        text += variable + "=" + (file == kCaFile ? ca : bundle) + "\n";
    return text;
}

}  // namespace

std::string system_bundle() {
    if (const char* own = std::getenv("SSL_CERT_FILE")) return certificate_blocks(read_file(own).value_or(""));
    for (const auto& path : trust_candidates("", "").bundles)
        if (const auto text = read_file(path)) return certificate_blocks(*text);
    return {};
}

void write_trust_directory(const std::string& directory, const std::string& ca_pem) {
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
        throw system_error("cannot make the trust folder " + directory, errno);
    const auto path = [&](const char* name) { return directory + "/" + name; };
    const auto bundle = system_bundle() + ca_pem;
    replace_when_different(path("ca.pem"), ca_pem);
    replace_when_different(path("bundle.pem"), bundle);
    replace_when_different(path("truststore.jks"), java_trust_store(certificates_of(bundle)));
    replace_when_different(path("env"), environment_file(path("ca.pem"), path("bundle.pem")));
}

}  // namespace sallyport::container
