// What people type out of habit from other programs, and what they may have meant.
#pragma once

#include <string>
#include <vector>

namespace paligemma::cli {

// The arguments in our own spelling: "--max_new_tokens 5" becomes "--max-tokens 5". Throws UsageError
// for a flag of another program that has no counterpart (cli/foreign_flags.h).
std::vector<std::string> in_our_spelling(const std::vector<std::string>& arguments);

// One line per flag that has aliases, for --help-all.
std::string alias_text();

// The candidate nearest to what was typed; empty if none is near.
std::string nearest(const std::string& typed, const std::vector<std::string>& candidates);

}  // namespace paligemma::cli
