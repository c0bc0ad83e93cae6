#pragma once
// What `sallyport status` prints.

#include <string>

#include "gateway/app/admin.hpp"

namespace sallyport::app {

std::string status_text(const Serving&, const Reloader&, const audit::Audit&);

}  // namespace sallyport::app
