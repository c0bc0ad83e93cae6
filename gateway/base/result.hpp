#pragma once
// How the data plane reports failure: a value, never an exception.

#include <boost/system/result.hpp>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>

namespace sallyport {

enum class ErrorKind {
    end_of_stream,  ///< the peer closed in order
    timed_out,      ///< a deadline of ours passed
    cancelled,      ///< we are shutting down, or the session was ended
    too_large,      ///< a bound of ours was reached
    malformed,      ///< the peer sent what the protocol does not allow
    refused,        ///< policy or address scope forbids it
    unavailable,    ///< we cannot serve it at the moment: nothing can be recorded, or too much is under way
    unresolved,     ///< the name has no address
    unreachable,    ///< no connection could be made
    tls,            ///< handshake or certificate verification failed
    io,             ///< the kernel said so
};

/// `detail` is one phrase for an operator; it never holds bytes of a request.
struct Error {
    ErrorKind kind = ErrorKind::io;
    std::string detail;
};

inline std::ostream& operator<<(std::ostream& out, const Error& error) { return out << error.detail; }

template <class T>
using Result = boost::system::result<T, Error>;

/// Called by Result::value() on an error: asking for a value that is not there is a bug, not a condition.
[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location&) {
    throw std::logic_error("value() of a failed result: " + error.detail);
}

}  // namespace sallyport
