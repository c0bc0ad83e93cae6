#pragma once
// A map from text with a bound: when it is full, the entry that was not asked for the longest goes.
// One thread at a time.

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace sallyport {

template <class Value>
class LruMap {
public:
    explicit LruMap(std::size_t capacity) : capacity_(capacity) {}

    /// Null when absent. Valid until the next put or erase.
    Value* find(std::string_view key) {
        const auto found = index_.find(key);
        if (found == index_.end()) return nullptr;
        entries_.splice(entries_.begin(), entries_, found->second);
        return &found->second->second;
    }

    Value& put(std::string_view key, Value value) {
        erase(key);
        if (entries_.size() >= capacity_ && !entries_.empty()) erase(entries_.back().first);
        entries_.emplace_front(std::string(key), std::move(value));
        index_.emplace(entries_.front().first, entries_.begin());
        return entries_.front().second;
    }

    void erase(std::string_view key) {
        const auto found = index_.find(key);
        if (found == index_.end()) return;
        const auto entry = found->second;
        index_.erase(found);
        entries_.erase(entry);
    }

    std::size_t size() const { return entries_.size(); }

private:
    using Entries = std::list<std::pair<std::string, Value>>;
    std::size_t capacity_;
    Entries entries_;                                                         // most recently used first
    std::unordered_map<std::string_view, typename Entries::iterator> index_;  // its keys are the entries' own
};

}  // namespace sallyport
