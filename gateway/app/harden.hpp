#pragma once

namespace sallyport::app {

/// For a process that holds secrets and serves from here on: no core, no debugger, and descriptors for many connections.
void harden();

}  // namespace sallyport::app
