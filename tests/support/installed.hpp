#pragma once
// What no package of the system has: put in place by a script, once for all runs of the tests.

#include <string>

namespace sallyport::test {

/// Runs scripts/NAME, which puts something in place where it is not yet there, and prints a path: the result, readable
/// for every user. Empty when that failed: said, and failed where CI is set.
std::string installed(const std::string& script);

}  // namespace sallyport::test
