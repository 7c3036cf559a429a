// UTF-8, character by character.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace paligemma {

// Bytes of the character that `text`, which is not empty, begins with; 0 if it begins with none.
std::size_t utf8_length(std::string_view text);

// Text of a file, fit for one line of a terminal: a control character and a byte that is no character's
// become \x1b and the like.
std::string printable(std::string_view text);

}  // namespace paligemma
