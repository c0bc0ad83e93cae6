#pragma once
// The table at the end of a run. Pure. What a client wrote can neither add a row or a column nor be taken for our own
// words, on a terminal and in Markdown: only characters of host names and paths are left of it, the rest becomes "?".

#include <string>

#include "gateway/audit/ledger.hpp"

namespace sallyport::audit {

/// Aligned columns, most urgent first, at most 60 rows; empty when nothing happened.
std::string table_text(const Ledger&);
/// GitHub-flavoured Markdown, with a heading, at most 300 rows. `enforced`: false says loudly that nothing was.
std::string table_markdown(const Ledger&, bool enforced);

}  // namespace sallyport::audit
