// Which flags a command takes, besides its own.
#pragma once

#include <string>

#include "cli/options.h"

namespace paligemma::cli {

// " --model --json ": what is printed instead of an answer and how much is said beside it is for all.
std::string flags_of(Command command);

}  // namespace paligemma::cli
