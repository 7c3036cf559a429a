#include "tensor/json_reader.h"

#include <algorithm>
#include <charconv>

#include "tensor/errors.h"

namespace paligemma {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

void append_utf8(std::string& text, unsigned code) {
  const auto append = [&](unsigned byte) { text += static_cast<char>(byte); };
  const auto append_tail = [&](int shift) { append(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) {
    append(code);
  } else if (code < 0x800) {
    append(0xc0 | code >> 6);
    append_tail(0);
  } else if (code < 0x10000) {
    append(0xe0 | code >> 12);
    append_tail(6);
    append_tail(0);
  } else {
    append(0xf0 | code >> 18);
    append_tail(12);
    append_tail(6);
    append_tail(0);
  }
}

}  // namespace

void JsonReader::fail(const std::string& expected) const {
  throw ModelFileError(where_ + ": not JSON: byte " + std::to_string(at_ + 1) + ": " + expected +
                       " was expected");
}

char JsonReader::next() {
  while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  return at_ < text_.size() ? text_[at_] : '\0';
}

void JsonReader::expect(char c) {
  if (next() != c) fail(std::string(1, c));
  ++at_;
}

void JsonReader::enter(char open) {
  expect(open);
  first_ = true;
}

bool JsonReader::closed_by(char close) {
  const bool closed = next() == close;
  if (closed) {
    ++at_;
  } else if (!first_) {
    expect(',');
  }
  first_ = false;
  return closed;
}

std::optional<std::string_view> JsonReader::next_name() {
  if (closed_by('}')) return std::nullopt;
  const std::string_view name = text();
  expect(':');
  return name;
}

bool JsonReader::next_item() { return !closed_by(']'); }

std::string_view JsonReader::text() {
  expect('"');
  const std::size_t begin = at_;
  while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\') {
    if (static_cast<unsigned char>(text_[at_]) < 0x20) fail("a character that is not a control");
    ++at_;
  }
  if (at_ == text_.size()) fail("\"");
  if (text_[at_] == '"') return text_.substr(begin, at_++ - begin);

  std::string& decoded = decoded_.emplace_back(text_.substr(begin, at_ - begin));
  while (at_ < text_.size() && text_[at_] != '"') {
    if (static_cast<unsigned char>(text_[at_]) < 0x20) fail("a character that is not a control");
    if (text_[at_] == '\\') {
      append_escape(decoded);
    } else {
      decoded += text_[at_++];
    }
  }
  expect('"');
  return decoded;
}

// Four hexadecimal digits.
unsigned JsonReader::code_unit() {
  unsigned unit = 0;
  const std::string_view digits = text_.substr(at_, 4);
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16);
  if (read.ptr - digits.data() != 4) fail("four hexadecimal digits");
  at_ += 4;
  return unit;
}

void JsonReader::append_escape(std::string& decoded) {
  constexpr std::string_view kLetters = "\"\\/bfnrt", kMeaning = "\"\\/\b\f\n\r\t";
  const std::string_view rest = text_.substr(++at_);
  if (rest.empty()) fail("a letter");
  if (const auto found = kLetters.find(rest[0]); found != kLetters.npos) {
    decoded += kMeaning[found];
    ++at_;
    return;
  }
  if (rest[0] != 'u') fail("one of \" \\ / b f n r t u");
  ++at_;
  unsigned code = code_unit();
  if (code >= 0xd800 && code < 0xe000) {  // half of a character, the upper one first
    if (code >= 0xdc00 || !text_.substr(at_).starts_with("\\u")) fail("a pair of surrogates");
    at_ += 2;
    const unsigned low = code_unit();
    if (low < 0xdc00 || low >= 0xe000) fail("a pair of surrogates");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  append_utf8(decoded, code);
}

int JsonReader::whole() {
  next();
  int number = 0;
  const char* begin = text_.data() + at_;
  const auto read = std::from_chars(begin, text_.data() + text_.size(), number);
  if (read.ec != std::errc() || number < 0) fail("a whole number up to 2147483647");
  at_ += static_cast<std::size_t>(read.ptr - begin);
  return number;
}

std::string_view JsonReader::raw() {
  const char first = next();
  const std::size_t begin = at_;
  if (first == '{' || first == '[') {
    int depth = 0;
    do {
      const char c = next();
      if (c == '"') {
        text();
        continue;
      }
      if (at_ == text_.size()) fail("more");
      depth += c == '{' || c == '[';
      depth -= c == '}' || c == ']';
      ++at_;
    } while (depth > 0);
  } else if (first == '"') {
    text();
  } else {
    const auto end = text_.find_first_of(" \n\r\t,]}", at_);
    at_ = std::min(end, text_.size());
  }
  return text_.substr(begin, at_ - begin);
}

void JsonReader::expect_end() {
  if (next(); at_ < text_.size()) fail("the end");
}

}  // namespace paligemma
