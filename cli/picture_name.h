// Pictures as people name them.
#pragma once

#include <string>
#include <string_view>

namespace paligemma::cli {

// The path in a file:// address; whatever is no address, "-" among it, as it is. Throws ImageError for a
// picture that would have to be fetched, with the command that does.
std::string picture_path(const std::string& name);

// "my%20photo.jpg" is "my photo.jpg". What is no two digits, or stands for no letter of a name, stays.
std::string percent_decoded(std::string_view text);

// "'my photo.jpg' " and "my\ photo.jpg", as a terminal pastes them, without quotes, backslashes and the
// blanks around; as typed if there is such a file.
std::string unquoted(std::string_view text);

}  // namespace paligemma::cli
