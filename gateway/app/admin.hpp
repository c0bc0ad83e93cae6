#pragma once
// The socket by which whoever runs the gateway asks it how it is and tells it to read its policy again.
//
// A client sends one word and a line feed: health, status or reload. The answer is a line with the exit status that the
// asking command ends with, then text, to the end of the connection.

#include <sys/types.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "gateway/app/reloader.hpp"
#include "gateway/base/unique_fd.hpp"

namespace sallyport::app {

/// What only the command that serves knows.
struct Serving {
    std::string form;  ///< "sealed", "shared"
    std::size_t sessions = 0;
    std::string problem = {};   ///< not empty: it does not serve, and why: "waiting for the doorway at ..."
    bool files_locked = false;  ///< container::Confinement
};

/// A socket that listens at `path`, for `owner` and root only. The directory is made when it is missing, mode 0700; a
/// socket that nobody listens at is replaced. Throws StartupError: another gateway serves there, or the path cannot be
/// used. `owner` other than ourselves needs privilege.
UniqueFd open_admin_socket(const std::string& path, uid_t owner = ::geteuid());

class Admin {
public:
    /// All that is passed by reference must outlive it.
    Admin(boost::asio::io_context&, UniqueFd admin_socket, Reloader&, const audit::Audit&,
          std::function<Serving()> serving);
    /// Closes and removes the socket.
    ~Admin();
    Admin(const Admin&) = delete;
    Admin& operator=(const Admin&) = delete;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace sallyport::app
