#pragma once
// The rules of a namespace that has no interface but `lo` and default routes into it.

#include "netfilter/intercept_plan.hpp"
#include "netfilter/ruleset.hpp"

namespace sallyport::netfilter {

Ruleset sealed_ruleset(const InterceptPlan& plan);

}  // namespace sallyport::netfilter
