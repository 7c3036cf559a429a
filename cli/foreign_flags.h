// Flags of other programs that have no counterpart here, and what to do instead.
#pragma once

#include <string>

namespace paligemma::cli {

// "-ngl" gives one line without the flag itself; empty for a flag that is not known.
std::string instead_of(std::string flag);

}  // namespace paligemma::cli
