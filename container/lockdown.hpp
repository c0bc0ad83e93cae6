#pragma once
// What our own serving processes can still do once they serve. In a process that was taken over, nothing else is left.

namespace sallyport::container {

struct Confinement {
    bool system_calls = false;  ///< only those that lockdown.cpp names; false: this kernel filters none
    bool files = false;         ///< none can be made, changed or executed, by Landlock; false: this kernel has none
};

/// Of the calling thread and all that it starts, for good: call it before there are others, after give_up_privileges()
/// (which sets the no_new_privs that both need) and after everything that is written to was opened. Every file that the
/// user may read stays readable, for a policy that changes may name any. A call that is not named fails with ENOSYS, as
/// on an older kernel: libraries know how to do without, and an attacker gets no further than with a signal.
Confinement lock_down();

/// Its two halves.
bool make_files_read_only();
bool allow_named_calls();

}  // namespace sallyport::container
