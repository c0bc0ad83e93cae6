#pragma once
// The rules of the moment, and what goes on under them.
//
// Who decides takes a snapshot, decides, and registers what it lets through as a Passage before it waits for anything,
// so that no change of the rules falls between. A change judges every passage again, with the functions that judged it
// the first time, and ends those that the new rules would refuse. One thread, that of the io_context.

#include <boost/intrusive/list.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gateway/net/lifeline.hpp"
#include "gateway/session/gate.hpp"

namespace sallyport::session {

class LiveRules;

/// Something that was permitted and goes on: a request, or a stream. Ends with its destruction.
class Passage : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    /// Why these rules would refuse it; nullopt when they would not.
    using Objection = std::function<std::optional<std::string>(const Rules&)>;

    /// When the rules that follow have an objection, `lifeline` ends with ErrorKind::refused and the reason.
    Passage(LiveRules&, net::Lifeline& lifeline, Objection);
    Passage(const Passage&) = delete;
    Passage& operator=(const Passage&) = delete;

private:
    friend class LiveRules;
    net::Lifeline& lifeline_;
    Objection objection_;
};

/// Owned by the application; outlives every gateway and session that uses it.
class LiveRules {
public:
    explicit LiveRules(Rules rules) : current_(std::make_shared<const Rules>(std::move(rules))) {}
    LiveRules(const LiveRules&) = delete;
    LiveRules& operator=(const LiveRules&) = delete;

    /// Never null. Verdicts point into its policy: who uses one across a wait keeps this too.
    std::shared_ptr<const Rules> current() const { return current_; }
    /// From now on `rules` decide. Returns how many passages that ended.
    std::size_t replace(Rules rules);
    /// Ends every passage, whatever the rules are.
    void end_all(const Error& reason);

private:
    friend class Passage;
    std::shared_ptr<const Rules> current_;
    boost::intrusive::list<Passage, boost::intrusive::constant_time_size<false>> passages_;
};

}  // namespace sallyport::session
