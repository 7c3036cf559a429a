// The command line as it is typed: which commands there are, which flags, and which command takes
// which. CLI11 takes seconds to compile, so command_line.cpp alone sees it.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"

namespace paligemma::cli {

// Throws UsageError: what is unknown, lacks its value, is given twice, or is not for this command.
Options parse(const std::vector<std::string>& arguments);

std::string help_text();

// For completions: "--model", "-m", ..., "caption", ...
std::vector<std::string> flags_and_commands();

}  // namespace paligemma::cli
