// Linked in where an address sanitizer is: its search for leaks has to look into the process, and nobody may look into
// this one (app/harden.hpp).
extern "C" const char* __asan_default_options();  // NOLINT: the sanitizer's name
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
