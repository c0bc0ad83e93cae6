#pragma once

namespace sallyport {

/// OpenSSL's heap likewise. First of all in main(): once OpenSSL has allocated anything, it keeps the heap it has.
void make_openssl_wipe();

}  // namespace sallyport
