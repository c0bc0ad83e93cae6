#pragma once
// `sallyport check`, `explain` and `presets`: each returns the program's exit status.

#include <string>
#include <vector>

namespace sallyport::app {

/// 0: every file is a valid policy. 1: mistakes were printed, all of them.
int check(const std::vector<std::string>& files);
/// `words`: [METHOD] URL. 0: explained. 2: the words make no sense. Throws StartupError for the policy file.
int explain(const std::string& policy_file, const std::vector<std::string>& words);
/// The names and what each is for; or one preset's text.
int presets(const std::string& name);

}  // namespace sallyport::app
