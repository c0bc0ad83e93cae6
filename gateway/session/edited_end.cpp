#include "gateway/session/edited_end.hpp"

#include "gateway/secrets/scrubber.hpp"
#include "gateway/session/readable_response.hpp"

namespace sallyport::session {

using http::Pieces;
using net::Task;
using wire::Framing;

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
        auto pieces = this->buffered_body();
        if (!pieces || !pieces->empty() || body_done()) co_return pieces;
        auto more = co_await inner_.read_body();
        if (!more || !body_) co_return more;
        body_->give(*more, inner_.body_done());
    }
}

template <class Base>
Task<std::size_t> EditedEnd<Base>::read_whole(net::Lifeline& lifeline) {
    std::string all;
    while (!body_done()) {
        const auto pieces = co_await read_body();
        if (!pieces) co_return pieces.error();
        for (const auto piece : *pieces) all += piece;
        lifeline.progress();
    }
    whole_ = std::move(all);
    co_return whole_.size();
}

template <class Base>
template <class Head>
Task<void> EditedEnd<Base>::set_length(Head& head, bool may_wait, net::Lifeline& lifeline) {
    if (head.body.kind != Framing::length) co_return Result<void>{};
    if (!may_wait || head.body.length > kMostWhole) {
        wire::erase(head.fields, "Content-Length");
        head.body = {Framing::chunked, 0};
        co_return Result<void>{};
    }
    const auto size = co_await read_whole(lifeline);
    if (!size) co_return size.error();
    head.body.length = *size;
    wire::set(head.fields, "Content-Length", std::to_string(*size));
    co_return Result<void>{};
}

template class EditedEnd<http::OriginEnd>;
template class EditedEnd<http::ClientEnd>;

ScrubbedOrigin::ScrubbedOrigin(http::OriginEnd& inner, const std::vector<secrets::BoundSecret>& bound,
                               net::Lifeline& lifeline)
    : EditedEnd(inner), bound_(bound), lifeline_(lifeline), scrubber_(secrets::scrubber(bound)) {}

Task<wire::ResponseHead> ScrubbedOrigin::read_head() {
    auto head = co_await inner_.read_head();
    if (!head) co_return head;
    scrubber_.edit(head->reason);
    head->fields = scrubbed(std::move(head->fields));
    if (wire::count(head->fields, "Sec-WebSocket-Extensions") > 0)
        co_return Error{ErrorKind::malformed, "the origin chose WebSocket extensions that it was not offered"};
    if (head->is_interim()) co_return head;
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

Task<void> ScrubbedOrigin::edit_body(wire::ResponseHead& head) {
    if (head.body.kind == Framing::none || (head.body.kind == Framing::length && head.body.length == 0))
        co_return Result<void>{};
    const auto coding = readable_coding(head.fields);
    if (!coding) co_return coding.error();
    body_.emplace(scrubber_, *coding);
    remove_digests(head.fields);
    co_return co_await set_length(head, true, lifeline_);
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
    if (!tunnel_ || tunnel_->found().empty()) return {};
    return "the origin sent the value of secret " + *tunnel_->found().begin() + " over the WebSocket";
}

InjectedClient::InjectedClient(http::ClientEnd& inner, const std::vector<secrets::BoundSecret>& bound,
                               secrets::BodySyntax syntax)
    : EditedEnd(inner), injector_(secrets::body_injector(bound, syntax)) {}

Task<void> InjectedClient::prepare(wire::RequestHead& head) {
    body_.emplace(injector_, std::nullopt);
    remove_digests(head.fields);
    const bool may_wait = wire::count(head.fields, "Expect") == 0;
    co_return co_await set_length(head, may_wait, inner_.lifeline());
}

}  // namespace sallyport::session
