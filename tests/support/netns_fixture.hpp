#pragma once
// Namespaces of their own for tests that need them: nothing of the machine changes, no privilege is needed.

#include <sys/types.h>

#include <cstring>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "container/seal.hpp"
#include "gateway/base/unique_fd.hpp"
#include "tests/support/skip.hpp"

namespace sallyport::test {

/// A forked child that computes bytes. Killed and reaped at the latest in the destructor.
class ChildTask {
public:
    ChildTask(pid_t pid, UniqueFd output) : pid_(pid), output_(std::move(output)) {}
    ChildTask(ChildTask&& other) noexcept : pid_(std::exchange(other.pid_, -1)), output_(std::move(other.output_)) {}
    ~ChildTask();
    /// Throws std::runtime_error with the child's exception, or when it crashed or took more than ten seconds.
    std::string wait();

private:
    pid_t pid_;
    UniqueFd output_;
};

/// What a function will have returned in the child: a value that can be copied as bytes.
template <class T>
class Task {
    static_assert(std::is_trivially_copyable_v<T> || std::is_same_v<T, std::string>);

public:
    explicit Task(ChildTask child) : child_(std::move(child)) {}
    T get() {
        auto bytes = child_.wait();
        if constexpr (std::is_same_v<T, std::string>) {
            return bytes;
        } else {
            T value{};
            if (bytes.size() != sizeof value) throw std::runtime_error("the child returned something else");
            std::memcpy(&value, bytes.data(), sizeof value);
            return value;
        }
    }

private:
    ChildTask child_;
};

/// Fresh user, network and mount namespaces, in which the caller is root. They last as long as this object, or
/// somebody in them.
class Namespaces {
public:
    /// nullopt where the machine does not allow it: the reason is printed, and with CI set the test has failed.
    static std::optional<Namespaces> create();

    /// Runs `body` in a child inside the namespaces; assertions belong to the parent, after get().
    template <class F>
    auto start(F body) const {
        using Value = decltype(body());
        return Task<Value>(fork_inside([body = std::move(body)] {
            if constexpr (std::is_same_v<Value, std::string>) {
                return body();
            } else {
                const Value value = body();
                return std::string(reinterpret_cast<const char*>(&value), sizeof value);
            }
        }));
    }
    template <class F>
    auto run(F body) const {
        return start(std::move(body)).get();
    }

private:
    Namespaces(UniqueFd user, UniqueFd net, UniqueFd mount)
        : user_(std::move(user)), net_(std::move(net)), mount_(std::move(mount)) {}
    ChildTask fork_inside(const std::function<std::string()>& body) const;

    UniqueFd user_, net_, mount_;
};

/// A sealed namespace, its sockets in the hands of this process, which is outside.
struct Sealed {
    Namespaces inside;
    container::GatewaySockets sockets;

    static std::optional<Sealed> create();
};

}  // namespace sallyport::test
