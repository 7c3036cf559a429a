#include "processing/formats/png_notes.h"

#include <algorithm>
#include <optional>
#include <string>

#include "processing/formats/orientation.h"
#include "processing/formats/stb.h"

namespace paligemma::formats {
namespace {

constexpr std::size_t kMaxText = 1 << 20;  // of bytes unpacked, Pillow's limit too

struct Text {
  std::string_view keyword;
  std::string text;
};

std::string_view up_to_nul(std::string_view& rest) {
  const std::string_view head = rest.substr(0, rest.find('\0'));
  rest.remove_prefix(std::min(head.size() + 1, rest.size()));
  return head;
}

// tEXt: keyword, NUL, text. zTXt: keyword, NUL, 0 for the method, packed text. iTXt: keyword, NUL, whether
// it is packed, 0 for the method, language, NUL, the keyword in that language, NUL, text.
std::optional<Text> text_in(std::string_view type, std::string_view rest) {
  const std::string_view keyword = up_to_nul(rest);
  bool is_packed = type == "zTXt";
  if (type == "iTXt") {
    if (rest.size() < 2) return {};
    is_packed = rest[0] != '\0';
    rest.remove_prefix(is_packed ? 1 : 2);
  }
  if (is_packed) {
    if (!rest.starts_with('\0')) return {};
    rest.remove_prefix(1);
  }
  if (type == "iTXt") {
    up_to_nul(rest);
    up_to_nul(rest);
  }
  return Text{keyword, is_packed ? stb_inflate(rest, kMaxText) : std::string(rest)};
}

// ImageMagick's: an empty line, one for the name, one for the length, then hexadecimal digits.
std::string profile_in(std::string_view text) {
  for (int line = 0; line < 3; ++line) {
    const std::size_t end = text.find('\n');
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  std::string bytes;
  std::optional<int> upper;
  for (char c : text) {
    const std::size_t digit = std::string_view("0123456789abcdef0123456789ABCDEF").find(c);
    if (digit == std::string_view::npos) continue;  // a line's end
    const int half = static_cast<int>(digit % 16);
    if (upper) bytes += static_cast<char>(*upper << 4 | half);
    upper = upper ? std::nullopt : std::optional(half);
  }
  return bytes;
}

}  // namespace

// Of what is there twice the last counts, as for Pillow. Checksums are not looked at here.
int png_orientation(Bytes file) {
  std::string exif, profile, xmp;
  std::size_t size = 0;
  for (std::size_t at = 8; at + 8 <= file.size(); at += size + 12) {
    size = big_endian(file, at, 4);
    const std::string_view chunk = characters(file).substr(at + 4, 4 + size);
    const std::string_view type = chunk.substr(0, 4), content = chunk.substr(4);
    if (type == "IEND") break;
    if (type == "eXIf") exif = content;
    if (type != "tEXt" && type != "zTXt" && type != "iTXt") continue;
    const auto text = text_in(type, content);
    if (!text) continue;
    if (text->keyword == "XML:com.adobe.xmp") xmp = text->text;
    if (text->keyword == "Raw profile type exif") profile = profile_in(text->text);
    if (text->keyword == "exif" && type == "tEXt") exif = text->text;
  }
  return orientation_of(exif.empty() ? profile : exif, xmp);
}

}  // namespace paligemma::formats
