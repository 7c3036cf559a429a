// Prompts from standard input, one a line.
#pragma once

#include <functional>
#include <string>

namespace paligemma::cli {

// Calls `ask` with each line, and `look_at` with the picture of "/image FILE", until "/quit" or the end. A
// prompt or picture that is refused is said so, and the next line is read.
void line_by_line(const std::function<void(const std::string&)>& look_at,
                  const std::function<void(const std::string&)>& ask);

}  // namespace paligemma::cli
