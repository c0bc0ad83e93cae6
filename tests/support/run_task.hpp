#pragma once
// Runs one coroutine to its end on an io_context that may have other, endless work.

#include <doctest/doctest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace sallyport::testing {

template <class T>
boost::asio::awaitable<void> store(boost::asio::awaitable<T> task, std::shared_ptr<std::optional<T>> result) {
    result->emplace(co_await std::move(task));
}

/// Starts it; the result is there once the io_context has run far enough.
template <class T>
std::shared_ptr<std::optional<T>> start(boost::asio::io_context& io, boost::asio::awaitable<T> task) {
    auto result = std::make_shared<std::optional<T>>();
    boost::asio::co_spawn(io, store(std::move(task), result), boost::asio::detached);
    return result;
}

template <class T>
T finish(boost::asio::io_context& io, const std::shared_ptr<std::optional<T>>& result) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!*result && std::chrono::steady_clock::now() < limit) io.run_one_for(std::chrono::seconds(1));
    REQUIRE_MESSAGE(result->has_value(), "the coroutine did not end within 30 seconds");
    return std::move(**result);
}

template <class T>
T run(boost::asio::io_context& io, boost::asio::awaitable<T> task) {
    return finish(io, start(io, std::move(task)));
}

}  // namespace sallyport::testing
