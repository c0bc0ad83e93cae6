#pragma once
// `sallyport doctor`.

namespace sallyport::app {

/// Inside a sandbox of any form, as whoever the app is: tries what would undo the guard and prints what came of it.
/// Returns the exit status: 0 contained, 1 not, or not in every respect.
int doctor();

}  // namespace sallyport::app
