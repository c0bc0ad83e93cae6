#include "gateway/secrets/store.hpp"

#include <algorithm>

#include "gateway/base/startup_error.hpp"
#include "gateway/secrets/read_origin_files.hpp"
#include "gateway/secrets/read_source.hpp"
#include "gateway/secrets/scrubber.hpp"

namespace sallyport::secrets {

Store::Store(std::shared_ptr<const policy::Policy> policy, const RunCommand& run) : policy_(std::move(policy)) {
    read_values(run, [](const policy::SecretRule&) { return Value(); });
    for (const auto& rule : policy_->origins()) add_origin(rule, read_origin_files(rule));
}

Store::Store(std::shared_ptr<const policy::Policy> policy, const Store& before, Reread reread, const RunCommand& run)
    : policy_(std::move(policy)) {
    read_values(run, [&](const policy::SecretRule& rule) {
        const bool keep =
            reread == Reread::nothing || rule.value.env || (reread == Reread::all_but_commands && rule.value.command);
        auto value = keep ? before.value_from(rule.value) : nullptr;
        if (!value && reread == Reread::nothing)
            throw StartupError("secret \"" + rule.name + "\" (" + rule.where.to_string() +
                               "): its source was not there at the start, when it could be kept from the command; "
                               "start again to use it");
        return value;
    });
    for (const auto& rule : policy_->origins()) {
        auto files = reread == Reread::nothing ? before.files_from(rule) : nullptr;
        const bool has_files = rule.ca || rule.client_key;
        if (!files && has_files && reread == Reread::nothing)
            throw StartupError("[[origin]] (" + rule.where.to_string() +
                               "): its files were not there at the start, when they could be kept from the command; "
                               "start again to use them");
        add_origin(rule, files ? std::move(files) : read_origin_files(rule));
    }
}

void Store::add_origin(const policy::OriginRule& rule, std::shared_ptr<const tls::OriginFiles> files) {
    origins_.push_back(std::make_shared<const tls::OriginOptions>(
        std::move(files), rule.min_tls == policy::TlsVersion::v1_3, rule.where.to_string()));
}

/// `kept` knows a value that need not be read, or gives null. The environment comes first: it is wiped as it is read,
/// so that no command inherits a value, and whoever has the same source shares it.
void Store::read_values(const RunCommand& run, const std::function<Value(const policy::SecretRule&)>& kept) {
    const auto& rules = policy_->secrets();
    values_.resize(rules.size());
    for (const bool from_environment : {true, false})
        for (std::size_t i = 0; i < rules.size(); ++i) {
            if (rules[i].value.env.has_value() != from_environment) continue;
            auto value = from_environment ? value_from(rules[i].value) : nullptr;
            if (!value) value = kept(rules[i]);
            values_[i] = value ? std::move(value) : std::make_shared<const SecretValue>(read_source(rules[i], run));
        }
    for (std::size_t i = 0; i < rules.size(); ++i) forms_.push_back(forms_of(rules[i], *values_[i]));
}

/// Null when no secret had that source.
Store::Value Store::value_from(const policy::SecretSource& source) const {
    for (std::size_t i = 0; i < values_.size(); ++i)
        if (values_[i] && policy_->secrets()[i].value == source) return values_[i];
    return nullptr;
}

/// Null when no [[origin]] had those files.
std::shared_ptr<const tls::OriginFiles> Store::files_from(const policy::OriginRule& rule) const {
    for (std::size_t i = 0; i < origins_.size(); ++i)
        if (policy_->origins()[i].same_files(rule)) return origins_[i]->files;
    return nullptr;
}

std::shared_ptr<const tls::OriginOptions> Store::origin_options(std::string_view host) const {
    const auto* rule = policy_->origin_for(host);
    return rule ? origins_[static_cast<std::size_t>(rule - policy_->origins().data())] : nullptr;
}

BoundSecret Store::bound_secret(std::size_t i) const { return {policy_->secrets()[i], *values_[i], forms_[i]}; }

HostSecrets Store::for_host(std::string_view host) const {
    HostSecrets result;
    const auto bound = policy_->secrets_for(host);
    for (std::size_t i = 0; i < values_.size(); ++i) {
        const auto& rule = policy_->secrets()[i];
        if (std::find(bound.begin(), bound.end(), &rule) != bound.end()) result.bound.push_back(bound_secret(i));
        else result.foreign.push_back(&rule);
    }
    return result;
}

std::vector<BoundSecret> Store::all() const {
    std::vector<BoundSecret> result;
    for (std::size_t i = 0; i < values_.size(); ++i) result.push_back(bound_secret(i));
    return result;
}

}  // namespace sallyport::secrets
