#pragma once

namespace sallyport::app {

/// Exit status for a failure of our own, as docker run and timeout(1) have it: no status of a command that we run.
inline constexpr int kOwnFailure = 125;

/// Does what the arguments say and returns the exit status: that of the command, 2 for arguments that make no sense
/// (125 where a program is to be run or served, so that it is not taken for that program's own). Throws StartupError.
int command_line(int argc, char** argv);

}  // namespace sallyport::app
