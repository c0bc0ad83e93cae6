#pragma once
// Ends of an exchange whose messages are rewritten on their way: nobody behind them knows.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/http/ends.hpp"
#include "gateway/secrets/placeholders.hpp"
#include "gateway/session/edited_body.hpp"

namespace sallyport::session {

/// Bodies up to this size, of which the length is known, are read whole and go with their new length; others without
/// one. What a few compressed bytes expand to counts as much.
inline constexpr std::size_t kMostWhole = 64 * 1024;

/// An end whose body is edited once body_ is there. `inner` outlives it.
template <class Base>
class EditedEnd : public Base {
public:
    net::Task<http::Pieces> read_body() override;
    Result<http::Pieces> buffered_body() override;
    bool body_done() const final { return whole_.empty() && (body_ ? body_->over() : inner_.body_done()); }
    const wire::Fields& trailers() const override { return inner_.trailers(); }
    net::Task<void> write(http::Pieces pieces, const wire::Fields* trailers) final {
        return inner_.write(pieces, trailers);
    }
    void switch_protocols() override { inner_.switch_protocols(); }
    void interrupt() final { inner_.interrupt(); }
    void resume() final { inner_.resume(); }

protected:
    EditedEnd(Base& inner, net::Lifeline& lifeline) : inner_(inner), lifeline_(lifeline) {}
    /// Gives `head` the length that the edited body has, or none.
    template <class Head>
    net::Task<void> set_length(Head& head, bool may_wait);

    Base& inner_;
    net::Lifeline& lifeline_;
    std::optional<EditedBody> body_;

private:
    net::Task<void> read_whole();
    net::Task<void> let_others_run();

    std::string whole_;  ///< the edited body, or its beginning, to be given out in one piece
    std::string given_;  ///< the same, given out
    std::string_view piece_;
    std::uint64_t paused_at_ = 0;  ///< of EditedBody::searched()
};

/// Takes the secrets out of the responses of a host that they are bound to: heads, bodies, trailers. When one is in the
/// bytes of a tunnel (WebSocket), it ends with an error before them; so does every response once one is being guessed.
class ScrubbedOrigin final : public EditedEnd<http::OriginEnd> {
public:
    /// All outlive it.
    ScrubbedOrigin(http::OriginEnd& inner, const std::vector<secrets::BoundSecret>& bound, net::Lifeline&);

    void start(const wire::RequestHead& head) override { inner_.start(head); }
    net::Task<wire::ResponseHead> read_head() override;
    Result<http::Pieces> buffered_body() override;
    const wire::Fields& trailers() const override { return trailers_ = scrubbed(inner_.trailers()); }
    void switch_protocols() override;
    bool untouched() const override { return inner_.untouched(); }
    std::optional<std::uint32_t> reset_code() const override { return inner_.reset_code(); }
    const std::optional<std::string>& private_address() const override { return inner_.private_address(); }
    void finish() override { inner_.finish(); }

    /// Names of the secrets that were taken out.
    std::vector<std::string> found() const;
    /// Why nothing more is passed on: what was in the tunnel's bytes, or that a secret is being guessed. Empty: it is.
    std::string alarm() const;

private:
    net::Task<void> edit_body(wire::ResponseHead&);
    wire::Fields scrubbed(wire::Fields) const;

    const std::vector<secrets::BoundSecret>& bound_;
    mutable secrets::Replacer scrubber_;
    mutable wire::Fields trailers_;
    std::optional<secrets::Replacer> tunnel_;
};

/// Puts secrets into the body of a request in place of their placeholders.
class InjectedClient final : public EditedEnd<http::ClientEnd> {
public:
    /// All outlive it.
    InjectedClient(http::ClientEnd& inner, const std::vector<secrets::BoundSecret>& bound, secrets::BodySyntax);

    /// To be called once, before the head goes, which is rewritten to what the body will be. A client that waits for
    /// 100-continue is not waited for.
    net::Task<void> prepare(wire::RequestHead&);

    net::Task<void> send_interim(wire::ResponseHead& head) override { return inner_.send_interim(head); }
    void start(wire::ResponseHead& head) override { inner_.start(head); }
    void abandon_request() override { inner_.abandon_request(); }
    bool knows_refused_streams() const override { return inner_.knows_refused_streams(); }
    void cut(std::uint32_t code) override { inner_.cut(code); }
    net::Lifeline& lifeline() override { return inner_.lifeline(); }

    /// Names of the secrets that were put in.
    const std::set<std::string>& used() const { return injector_.found(); }

private:
    secrets::Replacer injector_;
};

}  // namespace sallyport::session
