#include "gateway/secrets/store.hpp"

#include <algorithm>

#include "gateway/secrets/read_source.hpp"

namespace sallyport::secrets {

Store::Store(std::shared_ptr<const policy::Policy> policy) : policy_(std::move(policy)) {
    values_.reserve(policy_->secrets().size());
    for (const auto& rule : policy_->secrets()) values_.push_back(read_source(rule));
}

HostSecrets Store::for_host(std::string_view host) const {
    HostSecrets result;
    const auto bound = policy_->secrets_for(host);
    for (std::size_t i = 0; i < values_.size(); ++i) {
        const auto& rule = policy_->secrets()[i];
        if (std::find(bound.begin(), bound.end(), &rule) != bound.end())
            result.bound.push_back({rule, values_[i]});
        else
            result.foreign.push_back(&rule);
    }
    return result;
}

std::vector<BoundSecret> Store::all() const {
    std::vector<BoundSecret> result;
    for (std::size_t i = 0; i < values_.size(); ++i) result.push_back({policy_->secrets()[i], values_[i]});
    return result;
}

}  // namespace sallyport::secrets
