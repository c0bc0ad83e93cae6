#include "gateway/policy/readers.hpp"

namespace sallyport::policy {

namespace {

/// 0 when the key is not there, or is no port (which has been reported).
std::uint16_t read_port(const Section& section, std::string_view key) {
    const Member* member = section.find(key);
    if (!member) return 0;
    const auto* number = member->node.as<std::int64_t>();
    if (number && *number >= 1 && *number <= 65535) return static_cast<std::uint16_t>(*number);
    section.mistake(member->node.where, std::string(key) + " is a number from 1 to 65535");
    return 0;
}

}  // namespace

Publication read_publication(const Node& node, Mistakes& mistakes) {
    const Section section(node, "[[publish]]", {"port", "listen"}, mistakes);
    if (!section.find("port")) section.missing("port", "port = 3000");
    Publication publication{read_port(section, "port"), read_port(section, "listen"), node.where};
    if (!section.find("listen")) publication.listen = publication.port;
    return publication;
}

void check_publications(const std::vector<Publication>& publications, Mistakes& mistakes) {
    for (std::size_t i = 0; i < publications.size(); ++i)
        for (std::size_t k = 0; k < i; ++k)
            if (publications[i].listen != 0 && publications[i].listen == publications[k].listen)
                mistakes.add(publications[i].where, "the gateway listens on this port for the [[publish]] at " +
                                                        publications[k].where.to_string() + " already");
}

}  // namespace sallyport::policy
