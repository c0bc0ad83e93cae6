#include "gateway/http/http1_reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sallyport::http {

using net::Task;

void InputBuffer::consume(std::size_t n) {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
}

std::span<char> InputBuffer::prepare() {
    if (end_ == capacity_ && begin_ > 0) {
        std::memmove(bytes_.get(), bytes_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (end_ == capacity_ && capacity_ < kMaxBytes) {
        const auto grown = std::min(kMaxBytes, std::max(kBlock, capacity_ * 2));
        auto bytes = grown == kBlock ? BlockCache::take() : std::make_unique_for_overwrite<char[]>(grown);
        if (end_ > 0) std::memcpy(bytes.get(), bytes_.get(), end_);
        bytes_ = std::move(bytes);
        capacity_ = grown;
    }
    return {bytes_.get() + end_, capacity_ - end_};
}

void InputBuffer::commit(std::size_t n) {
    end_ += n;
    used_ = std::max(used_, end_);
}

void InputBuffer::release_if_empty() {
    if (empty()) release();
}

void InputBuffer::release() {
    if (capacity_ == kBlock) BlockCache::give_back(std::move(bytes_), used_);
    bytes_.reset();
    capacity_ = begin_ = end_ = used_ = 0;
}

template <bool is_request>
Task<void> Http1Reader<is_request>::wait_message() {
    buffer_.consume(std::exchange(used_, 0));
    if (!buffer_.empty()) co_return Result<void>{};
    buffer_.release_if_empty();
    if (auto ready = co_await stream_.wait_readable(); !ready) co_return ready;
    co_return co_await fill();
}

template <bool is_request>
Task<void> Http1Reader<is_request>::fill() {
    const auto room = buffer_.prepare();
    if (room.empty()) co_return Error{ErrorKind::too_large, "header fields too large"};
    const auto n = co_await stream_.read_some(room);
    if (!n) co_return n.error();
    buffer_.commit(*n);
    co_return Result<void>{};
}

template <bool is_request>
Result<void> Http1Reader<is_request>::parse() {
    buffer_.consume(std::exchange(used_, 0));
    auto used = parser_->put(buffer_.data());
    if (!used) return used.error();
    used_ = *used;  // consumed at the next call: body() points into it
    return {};
}

template <bool is_request>
Task<typename Http1Reader<is_request>::Head> Http1Reader<is_request>::read_head(bool no_body) {
    buffer_.consume(std::exchange(used_, 0));
    parser_.emplace(no_body);
    for (;;) {
        if (!buffer_.empty()) {
            if (auto parsed = parse(); !parsed) co_return parsed.error();
            if (parser_->head_done()) co_return std::move(parser_->head());
        }
        const bool nothing_came = buffer_.empty();
        if (auto filled = co_await fill(); !filled) {
            if (filled.error().kind == ErrorKind::end_of_stream && !nothing_came)
                co_return Error{ErrorKind::malformed, "closed in the middle of a message"};
            co_return filled.error();
        }
    }
}

template <bool is_request>
std::string Http1Reader<is_request>::take_buffered_input() {
    buffer_.consume(std::exchange(used_, 0));
    std::string bytes(buffer_.data());
    buffer_.consume(bytes.size());
    buffer_.release_if_empty();
    return bytes;
}

template <bool is_request>
Result<std::span<const std::string_view>> Http1Reader<is_request>::buffered_body() {
    std::span<const std::string_view> none;
    if (message_done()) return none;
    buffer_.consume(std::exchange(used_, 0));
    if (buffer_.empty()) return none;
    if (switched_) {
        raw_ = buffer_.data();
        used_ = raw_.size();
        return std::span<const std::string_view>(&raw_, 1);
    }
    if (auto parsed = parse(); !parsed) return parsed.error();
    return parser_->body();
}

template <bool is_request>
Task<std::span<const std::string_view>> Http1Reader<is_request>::read_body() {
    for (;;) {
        auto pieces = buffered_body();
        if (!pieces || !pieces->empty() || message_done()) co_return pieces;
        Result<void> filled;
        if (switched_) filled = co_await wait_message();  // maybe for hours, without a buffer
        else filled = co_await fill();
        if (filled) continue;
        // How the connection of another protocol ends says nothing: that has words of its own for it.
        if (switched_ && (filled.error().kind == ErrorKind::end_of_stream || filled.error().kind == ErrorKind::io)) {
            closed_ = true;
            continue;
        }
        if (filled.error().kind != ErrorKind::end_of_stream) co_return filled.error();
        if (auto ended = parser_->put_end(); !ended) co_return ended.error();
    }
}

template class Http1Reader<true>;
template class Http1Reader<false>;

}  // namespace sallyport::http
