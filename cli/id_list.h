// Ids of tokens on the command line: "5,3,2".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace paligemma::cli {

// Throws UsageError, which names the flag, if one of them is not from 0 to below - 1.
std::vector<int> id_list(const std::string& flag, const std::string& text, std::int64_t below);

}  // namespace paligemma::cli
