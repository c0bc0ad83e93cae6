#include "gateway/policy/load.hpp"

#include <algorithm>
#include <set>

#include "gateway/policy/presets.hpp"
#include "gateway/policy/readers.hpp"

namespace sallyport::policy {

namespace {

std::string preset_names() {
    std::string names;
    for (const Preset& preset : presets()) names.append(names.empty() ? "" : ", ").append(preset.name);
    return names;
}

/// Gathers a file and the presets that it uses.
class Loader {
public:
    LoadResult load(std::string_view text, const std::string& file, Mode mode) {
        read_file(text, file);
        check_together(rules_, secrets_, routes_, mistakes_);
        check_publications(publications_, mistakes_);
        check_origins(origins_, routes_, mistakes_);
        if (!mistakes_.empty()) return std::move(mistakes_).sorted();
        return std::make_shared<const Policy>(std::move(rules_), std::move(secrets_), std::move(routes_),
                                              std::move(publications_), mode, std::move(origins_));
    }

private:
    void read_file(std::string_view text, const std::string& file) {
        const auto document = parse_document(text, file);
        if (const auto* mistake = std::get_if<Mistake>(&document))
            return mistakes_.add(mistake->where, mistake->message);
        const Section top(std::get<Node>(document), "a policy",
                          {"use", "allow", "deny", "secret", "route", "origin", "publish"}, mistakes_);
        for (const Node* node : tables(top, "allow")) rules_.push_back(read_rule(*node, Action::allow, mistakes_));
        for (const Node* node : tables(top, "deny")) rules_.push_back(read_rule(*node, Action::deny, mistakes_));
        for (const Node* node : tables(top, "secret")) secrets_.push_back(read_secret(*node, mistakes_));
        for (const Node* node : tables(top, "route")) routes_.push_back(read_route(*node, mistakes_));
        for (const Node* node : tables(top, "publish")) publications_.push_back(read_publication(*node, mistakes_));
        for (const Node* node : tables(top, "origin")) origins_.push_back(read_origin(*node, mistakes_));
        for (const Text& name : top.texts("use")) use(name);
    }

    void use(const Text& name) {
        const Preset* preset = find_preset(name.value);
        if (!preset)
            mistakes_.add(name.where,
                          "no preset is called " + in_quotes(name.value) + "; there are: " + preset_names());
        else if (used_.insert(name.value).second) read_file(preset->text, "preset:" + name.value);
    }

    std::vector<const Node*> tables(const Section& top, std::string_view key) {
        const Member* member = top.find(key);
        if (!member) return {};
        const auto* list = member->node.as<Node::List>();
        if (!list) {
            mistakes_.add(member->node.where,
                          "write [[" + std::string(key) + "]], in double brackets: there can be several");
            return {};
        }
        std::vector<const Node*> found;
        for (const Node& node : *list) found.push_back(&node);
        return found;
    }

    std::vector<Rule> rules_;
    std::vector<SecretRule> secrets_;
    std::vector<Route> routes_;
    std::vector<Publication> publications_;
    std::vector<OriginRule> origins_;
    std::set<std::string> used_;
    Mistakes mistakes_;
};

}  // namespace

LoadResult load(std::string_view text, const std::string& file, Mode mode) { return Loader().load(text, file, mode); }

}  // namespace sallyport::policy
