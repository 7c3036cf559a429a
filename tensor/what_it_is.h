// What stands in place of the file that was wanted, told by its first bytes.
//
//   where + ": not JSON: looks like " + what_it_is(bytes)
//
//   -> m/config.json: not JSON: looks like a Git LFS pointer; fetch the file itself: git lfs pull
//
// Who reads a file tries its own format first; only what is not that is looked at here.
#pragma once

#include <string>
#include <string_view>

namespace paligemma {

// What the bytes look like and, behind a semicolon, what to do; "" if nobody recognises them. Only the first
// kilobyte counts.
std::string what_it_is(std::string_view bytes);

}  // namespace paligemma
