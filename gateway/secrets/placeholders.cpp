#include "gateway/secrets/placeholders.hpp"

#include <algorithm>

namespace sallyport::secrets {
namespace {

constexpr Spellings kPercent{true, false, false, false, false};
constexpr Spellings kBackslash{false, true, false, false, false};

using Place = bool policy::PlaceholderPlaces::*;

class Placeholder final : public Pattern {
public:
    Placeholder(const BoundSecret& secret, bool json) : rule_(secret.rule), value_(secret.value), json_(json) {}
    std::size_t size() const override { return rule_.placeholder->size(); }
    bool accepts(std::size_t place, unsigned char byte) const override {
        return (*rule_.placeholder)[place] == static_cast<char>(byte);
    }
    Spellings spellings() const override { return json_ ? kBackslash : kPercent; }
    std::string replacement(std::string_view) const override {
        return json_ ? json_escaped(value_.reveal()) : percent_encoded(value_.reveal());
    }
    const std::string& secret() const override { return rule_.name; }

private:
    const policy::SecretRule& rule_;
    const SecretValue& value_;
    const bool json_;
};

bool looks_in(const BoundSecret& secret, Place place) {
    return secret.rule.placeholder && secret.rule.placeholder_in.*place;
}

Replacer injector(const std::vector<BoundSecret>& bound, Place place) {
    Replacer::PatternSets sets;
    for (const auto& secret : bound) {
        if (!looks_in(secret, place)) continue;
        PatternSet::Patterns only;
        only.push_back(std::make_unique<Placeholder>(secret, place == &policy::PlaceholderPlaces::json));
        sets.push_back(std::make_shared<const PatternSet>(std::move(only)));
    }
    return Replacer(std::move(sets));
}

bool ends_with_ignoring_case(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && wire::equal_ignoring_case(text.substr(text.size() - end.size()), end);
}

}  // namespace

std::string with_secrets(const std::vector<BoundSecret>& bound, std::string_view target, std::set<std::string>& used) {
    auto path = injector(bound, &policy::PlaceholderPlaces::path);
    auto query = injector(bound, &policy::PlaceholderPlaces::query);
    const auto end = std::min(target.find('?'), target.size());
    std::string before(target.substr(0, end)), behind(target.substr(end));
    path.edit(before);
    query.edit(behind);
    used.insert(path.found().begin(), path.found().end());
    used.insert(query.found().begin(), query.found().end());
    return before + behind;
}

std::optional<BodySyntax> body_syntax(const std::vector<BoundSecret>& bound, const wire::Fields& request) {
    if (wire::count(request, "Content-Encoding") > 0 || wire::count(request, "Content-Type") != 1) return std::nullopt;
    auto type = *wire::find(request, "Content-Type");
    type = type.substr(0, type.find(';'));
    while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
    const auto some_look_in = [&](Place place) {
        return std::any_of(bound.begin(), bound.end(), [place](const auto& secret) { return looks_in(secret, place); });
    };
    const bool json = wire::equal_ignoring_case(type, "application/json") || ends_with_ignoring_case(type, "+json");
    if (json && some_look_in(&policy::PlaceholderPlaces::json)) return BodySyntax::json;
    const bool form = wire::equal_ignoring_case(type, "application/x-www-form-urlencoded");
    if (form && some_look_in(&policy::PlaceholderPlaces::form)) return BodySyntax::form;
    return std::nullopt;
}

Replacer body_injector(const std::vector<BoundSecret>& bound, BodySyntax syntax) {
    return injector(bound,
                    syntax == BodySyntax::json ? &policy::PlaceholderPlaces::json : &policy::PlaceholderPlaces::form);
}

}  // namespace sallyport::secrets
