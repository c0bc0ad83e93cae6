#pragma once
// Gets what an [[origin]] names files for.

#include <memory>

#include "gateway/policy/policy.hpp"
#include "gateway/tls/origin_options.hpp"

namespace sallyport::secrets {

/// Throws StartupError: see Store.
std::shared_ptr<const tls::OriginFiles> read_origin_files(const policy::OriginRule&);

}  // namespace sallyport::secrets
