#pragma once
// What a gateway under test is made of.

#include <string>

#include "gateway/session/gate.hpp"

namespace sallyport::test {

/// Rules of a policy in the file "test.toml", secrets read. Throws std::runtime_error with its first mistake.
session::Rules rules_of(const std::string& toml);

/// An empty file in /tmp; the caller removes it.
std::string temporary_file();

}  // namespace sallyport::test
