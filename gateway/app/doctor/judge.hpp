#pragma once
// What the doctor's observations mean: pure.

#include <string>
#include <vector>

#include "gateway/app/doctor/observations.hpp"

namespace sallyport::doctor {

enum class Form {
    sealed,     ///< no interface but `lo`, and something that takes connections
    offline,    ///< no interface but `lo`, and nothing else either
    shared,     ///< an interface, and a gateway that answers
    unguarded,  ///< an interface, and no gateway that answers
};

enum class Outcome { ok, open, not_applicable };

struct Finding {
    std::string what;
    Outcome outcome = Outcome::ok;
    std::string meaning;
    std::string remedy;  ///< only when open
};

struct Diagnosis {
    Form form = Form::unguarded;
    std::vector<std::string> uplinks;
    std::vector<Finding> traffic;     ///< what was sent: when one is open, nothing is contained
    std::vector<Finding> privileges;  ///< what this process could do besides

    bool contained() const;
};

Diagnosis judge(const Observations&);
/// For a person: the form, a line for each finding, the verdict as the last line.
std::string to_string(const Diagnosis&);

}  // namespace sallyport::doctor
