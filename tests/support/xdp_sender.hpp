#pragma once
// A frame by AF_XDP (Documentation/networking/af_xdp.rst): from memory that is shared with the kernel to the device's
// first queue, past its queueing and past netfilter.

#include <string>

namespace sallyport::test {

/// False where the kernel, a filter of system calls or the lack of CAP_NET_RAW does not allow it.
bool send_by_xdp(const std::string& interface, const std::string& frame);

}  // namespace sallyport::test
