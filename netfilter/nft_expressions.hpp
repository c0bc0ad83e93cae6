#pragma once
// One rule's statements as the expressions of nf_tables (linux/netfilter/nf_tables.h).

#include <libnftnl/rule.h>

#include "netfilter/statement.hpp"

namespace sallyport::netfilter {

/// Appends to `target`, which owns the expressions. Throws std::bad_alloc.
void add_expressions(nftnl_rule* target, const Rule& rule);

}  // namespace sallyport::netfilter
