#include "gateway/session/edited_end.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "gateway/secrets/scrubber.hpp"
#include "gateway/session/readable_response.hpp"

namespace sallyport::session {

using http::Pieces;
using net::Task;
using wire::Framing;

namespace {

constexpr std::uint64_t kTurn = 128 * 1024;  // bytes that are searched before others have theirs

}  // namespace

template <class Base>
Result<Pieces> EditedEnd<Base>::buffered_body() {
    if (!whole_.empty()) {
        given_ = std::move(whole_);
        whole_.clear();
        piece_ = given_;
        return Pieces(&piece_, 1);
    }
    if (!body_) return inner_.buffered_body();
    for (;;) {
        const auto next = body_->next();
        if (!next) return next.error();
        piece_ = *next;
        if (!piece_.empty()) return Pieces(&piece_, 1);
        if (body_->over()) return Pieces();
        const auto pieces = inner_.buffered_body();
        if (!pieces) return pieces;
        if (pieces->empty() && !inner_.body_done()) return Pieces();
        body_->give(*pieces, inner_.body_done());
    }
}

template <class Base>
Task<Pieces> EditedEnd<Base>::read_body() {
    for (;;) {
        if (auto go_on = co_await let_others_run(); !go_on) co_return go_on.error();
        auto pieces = this->buffered_body();
        if (!pieces || !pieces->empty() || body_done()) co_return pieces;
        auto more = co_await inner_.read_body();
        if (!more || !body_) co_return more;
        body_->give(*more, inner_.body_done());
    }
}

/// What a few bytes expand to is at hand without any wait in which others would have their turn.
template <class Base>
Task<void> EditedEnd<Base>::let_others_run() {
    if (!body_ || body_->searched() - paused_at_ < kTurn) co_return Result<void>{};
    paused_at_ = body_->searched();
    co_await boost::asio::post(co_await boost::asio::this_coro::executor, boost::asio::use_awaitable);
    if (lifeline_.ended()) co_return lifeline_.reason();
    co_return Result<void>{};
}

/// To be given out later; not all of it when it is too large.
template <class Base>
Task<void> EditedEnd<Base>::read_whole() {
    std::string all;
    while (!body_done() && all.size() <= kMostWhole) {
        const auto pieces = co_await read_body();
        if (!pieces) co_return pieces.error();
        for (const auto piece : *pieces) all += piece;
        lifeline_.progress();
    }
    whole_ = std::move(all);
    co_return Result<void>{};
}

template <class Base>
template <class Head>
Task<void> EditedEnd<Base>::set_length(Head& head, bool may_wait) {
    if (head.body.kind != Framing::length) co_return Result<void>{};
    bool whole = may_wait && head.body.length <= kMostWhole;
    if (whole) {
        if (auto read = co_await read_whole(); !read) co_return read.error();
        whole = body_->over();
    }
    head.body = whole ? wire::BodyFraming{Framing::length, whole_.size()} : wire::BodyFraming{Framing::chunked, 0};
    if (whole) wire::set(head.fields, "Content-Length", std::to_string(whole_.size()));
    else wire::erase(head.fields, "Content-Length");
    co_return Result<void>{};
}

template class EditedEnd<http::OriginEnd>;
template class EditedEnd<http::ClientEnd>;

ScrubbedOrigin::ScrubbedOrigin(http::OriginEnd& inner, const std::vector<secrets::BoundSecret>& bound,
                               net::Lifeline& lifeline)
    : EditedEnd(inner, lifeline), bound_(bound), scrubber_(secrets::scrubber(bound)) {}

Task<wire::ResponseHead> ScrubbedOrigin::read_head() {
    auto head = co_await inner_.read_head();
    if (!head) co_return head;
    scrubber_.edit(head->reason);
    head->fields = scrubbed(std::move(head->fields));
    if (const auto why = alarm(); !why.empty()) co_return Error{ErrorKind::refused, why};
    if (wire::count(head->fields, "Sec-WebSocket-Extensions") > 0)
        co_return Error{ErrorKind::malformed, "the origin chose WebSocket extensions that it was not offered"};
    if (head->is_interim()) co_return head;
    if (head->status == 206 || head->status == 226)
        co_return Error{ErrorKind::malformed, "the origin sent a part that it was not asked for: it is withheld"};
    if (auto edited = co_await edit_body(*head); !edited) co_return edited.error();
    co_return head;
}

/// A field that has a secret in its name is left out.
wire::Fields ScrubbedOrigin::scrubbed(wire::Fields fields) const {
    std::erase_if(fields, [&](wire::Field& field) {
        scrubber_.edit(field.value);
        return scrubber_.edit(field.name);
    });
    if (body_) remove_digests(fields);
    return fields;
}

/// What tells of a body goes even where there is none: who asks by HEAD could test guesses of a value by its digests,
/// and guess it byte by byte by how well it compresses beside them.
Task<void> ScrubbedOrigin::edit_body(wire::ResponseHead& head) {
    remove_digests(head.fields);
    if (head.body.kind == Framing::none && wire::count(head.fields, "Content-Encoding") > 0 &&
        wire::find(head.fields, "Content-Length") != "0")
        wire::erase(head.fields, "Content-Length");
    if (head.body.kind == Framing::none || (head.body.kind == Framing::length && head.body.length == 0))
        co_return Result<void>{};
    const auto coding = readable_coding(head.fields);
    if (!coding) co_return coding.error();
    body_.emplace(scrubber_, *coding);
    co_return co_await set_length(head, true);
}

void ScrubbedOrigin::switch_protocols() {
    inner_.switch_protocols();
    tunnel_.emplace(secrets::scrubber(bound_));
    body_.emplace(*tunnel_, std::nullopt);
}

Result<Pieces> ScrubbedOrigin::buffered_body() {
    auto pieces = EditedEnd::buffered_body();
    if (const auto why = alarm(); !why.empty()) return Error{ErrorKind::refused, why};
    return pieces;
}

std::vector<std::string> ScrubbedOrigin::found() const {
    const auto& names = scrubber_.found();
    return {names.begin(), names.end()};
}

std::string ScrubbedOrigin::alarm() const {
    if (auto why = secrets::guessed(bound_); !why.empty()) return why;
    if (!tunnel_ || tunnel_->found().empty()) return {};
    return "the origin sent the value of secret " + *tunnel_->found().begin() + ", or half of it, over the WebSocket";
}

InjectedClient::InjectedClient(http::ClientEnd& inner, const std::vector<secrets::BoundSecret>& bound,
                               secrets::BodySyntax syntax)
    : EditedEnd(inner, inner.lifeline()), injector_(secrets::body_injector(bound, syntax)) {}

Task<void> InjectedClient::prepare(wire::RequestHead& head) {
    body_.emplace(injector_, std::nullopt);
    remove_digests(head.fields);
    const bool may_wait = wire::count(head.fields, "Expect") == 0;
    co_return co_await set_length(head, may_wait);
}

}  // namespace sallyport::session
