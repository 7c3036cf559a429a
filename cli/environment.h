// Variables and paths as Python programs read them, so that their caches are found.
#pragma once

#include <string>

namespace paligemma::cli {

// A variable that is set and empty is set.
std::string environment(const char* name, const std::string& absent);

// "~/x" and "~user/x", as os.path.expanduser has them.
std::string with_home(const std::string& path);

// "$HOME/x" and "${HOME}/x", as os.path.expandvars has them: what is not set stays.
std::string with_variables(std::string path);

}  // namespace paligemma::cli
