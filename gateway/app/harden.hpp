#pragma once

namespace sallyport::app {

/// For a process that holds secrets and serves from here on. No core, no debugger, nothing in /proc but for root. An
/// arena for secrets and private keys (OpenSSL's secure heap) that is locked, so never swapped, and left out of dumps;
/// where RLIMIT_MEMLOCK is unlimited, or can be made so, all memory is locked. And descriptors for many connections.
/// Call it before the first of them is read, and before privileges are given up; what is started later inherits the
/// limits. True when the arena is locked.
bool harden();

/// For people, where it is not.
void warn_of_swap();

}  // namespace sallyport::app
