// A prompt from a file or from standard input.
#pragma once

#include <string>
#include <string_view>

namespace paligemma::cli {

// "-" is standard input. One newline at the end and a byte order mark at the beginning are not part of the
// prompt. Throws UsageError for what cannot be read, is longer than 1 MiB, or is UTF-16.
std::string read_prompt_file(const std::string& path);

// What Windows's editors put in front of UTF-8.
std::string_view without_byte_order_mark(std::string_view text);

}  // namespace paligemma::cli
