#include "cli/picture_name.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "tensor/errors.h"
#include "tensor/paths.h"

namespace paligemma::cli {
namespace {

std::string in_small_letters(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// For a shell: in quotes if one of its letters would mean something there.
std::string quoted(const std::string& text) {
  const bool is_plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) ||
           std::string_view("/:.-_%+@=,").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (is_plain) return text;
  std::string word = "'";
  for (char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const std::string_view digits = text.substr(std::min(i + 1, text.size()), 2);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    const bool is_code = text[i] == '%' && read.ptr == digits.data() + 2 && byte != 0;
    decoded += is_code ? static_cast<char>(byte) : text[i];
    if (is_code) i += 2;
  }
  return decoded;
}

std::string picture_path(const std::string& name) {
  const auto colon = name.find("://");
  const std::string scheme = colon == name.npos ? "" : in_small_letters(name.substr(0, colon));
  if (scheme == "http" || scheme == "https") {
    throw ImageError(name + ": nothing is downloaded; curl -L " + quoted(name) +
                     " | paligemma --image - does");
  }
  if (scheme != "file") return name;
  const std::string rest = name.substr(colon + 3), host = rest.substr(0, rest.find('/'));
  if (!host.empty() && in_small_letters(host) != "localhost") {
    throw ImageError(name + ": lies on another machine, " + host);
  }
  return percent_decoded(std::string_view(rest).substr(host.size()));
}

std::string unquoted(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
  if (is_there(text)) return std::string(text);

  std::string word;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool has_next = i + 1 < text.size();
    const bool opens_or_closes = quote == 0 ? c == '\'' || c == '"' : c == quote;
    const bool escapes =
        c == '\\' && has_next &&
        (quote == 0 ||
         (quote == '"' && std::string_view("\"\\$`").find(text[i + 1]) != std::string_view::npos));
    if (opens_or_closes) {
      quote = quote == 0 ? c : 0;
    } else {
      word += escapes ? text[++i] : c;
    }
  }
  return quote == 0 ? word : std::string(text);  // it's.jpg
}

}  // namespace paligemma::cli
