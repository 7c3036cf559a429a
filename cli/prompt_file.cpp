#include "cli/prompt_file.h"

#include <fstream>
#include <iostream>

#include "cli/options.h"
#include "tensor/paths.h"

namespace paligemma::cli {

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  return text.substr(text.starts_with(kMark) ? kMark.size() : 0);
}

std::string read_prompt_file(const std::string& path) {
  constexpr std::size_t kMaxBytes = 1 << 20;
  std::ifstream file;
  if (path != "-") file.open(path, std::ios::binary);
  std::istream& in = path == "-" ? std::cin : file;
  if (!in || is_folder(path)) throw UsageError("--file " + path + ": cannot be read");
  std::string text(kMaxBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMaxBytes) throw UsageError("--file " + path + ": longer than 1 MiB");
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    throw UsageError("--file " + path + ": is UTF-16; iconv -f UTF-16 -t UTF-8 makes it UTF-8");
  }
  if (text.ends_with('\n')) text.pop_back();  // the file's end, not the prompt's
  if (text.ends_with('\r')) text.pop_back();
  return std::string(without_byte_order_mark(text));
}

}  // namespace paligemma::cli
