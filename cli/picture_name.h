// Pictures as people name them.
#pragma once

#include <string>
#include <string_view>

namespace paligemma::cli {

// The path in a file:// address; whatever is no address, "-" among it, as it is. Throws ImageError for a
// picture that would have to be fetched, with the command that does.
std::string picture_path(const std::string& name);

// "'my photo.jpg' " and "my\ photo.jpg", as a terminal pastes them, without quotes, backslashes and the
// blanks around; as typed if there is such a file.
std::string unquoted(std::string_view text);

}  // namespace paligemma::cli
