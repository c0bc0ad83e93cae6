#pragma once
// The secrets of one policy, with their values; and what its [[origin]] tables name files for, keys among it.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/policy/policy.hpp"
#include "gateway/secrets/pattern_set.hpp"
#include "gateway/secrets/run_command.hpp"
#include "gateway/secrets/secret_value.hpp"
#include "gateway/tls/origin_options.hpp"

namespace sallyport::secrets {

struct BoundSecret {
    const policy::SecretRule& rule;
    const SecretValue& value;
    std::shared_ptr<const PatternSet> forms;  ///< in which the value may come back
};

/// The secrets as one host sees them. Valid as long as the store.
struct HostSecrets {
    std::vector<BoundSecret> bound;                  ///< may be sent to it
    std::vector<const policy::SecretRule*> foreign;  ///< must not, nor their placeholders
};

/// What a store that follows another reads anew; of the rest it takes over the values that the other read.
enum class Reread {
    all,
    all_but_commands,  ///< a command that the other store had not run yet is run
    nothing,           ///< a source that the other store did not have is a mistake
};

/// Immutable, to be swapped together with its policy.
class Store {
public:
    /// Reads every value: environment, files, commands (each at most 10 s). Throws StartupError, which names the
    /// secret, its line and the remedy, for one that is missing, empty, or cannot stand in a header field; likewise
    /// for a file of an [[origin]]. A variable's value is overwritten in our environment, and only kept from then on.
    explicit Store(std::shared_ptr<const policy::Policy>, const RunCommand& run = run_command);
    Store(std::shared_ptr<const policy::Policy>, const Store& before, Reread, const RunCommand& run = run_command);

    /// `host` is canonical.
    HostSecrets for_host(std::string_view host) const;
    /// All of them, in the policy's order.
    std::vector<BoundSecret> all() const;
    /// How TLS is made to `host`, the one that is dialled; null: as to any other.
    std::shared_ptr<const tls::OriginOptions> origin_options(std::string_view host) const;

private:
    using Value = std::shared_ptr<const SecretValue>;
    void read_values(const RunCommand& run, const std::function<Value(const policy::SecretRule&)>& kept);
    BoundSecret bound_secret(std::size_t index) const;
    Value value_from(const policy::SecretSource&) const;
    std::shared_ptr<const tls::OriginFiles> files_from(const policy::OriginRule&) const;
    void add_origin(const policy::OriginRule&, std::shared_ptr<const tls::OriginFiles>);

    std::shared_ptr<const policy::Policy> policy_;
    std::vector<Value> values_;                             ///< one for each of policy_->secrets(), in that order
    std::vector<std::shared_ptr<const PatternSet>> forms_;  ///< likewise
    std::vector<std::shared_ptr<const tls::OriginOptions>> origins_;  ///< likewise, of policy_->origins()
};

}  // namespace sallyport::secrets
