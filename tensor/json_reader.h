// JsonReader: JSON read from front to back, for lists too long to be kept as JsonFields are. A quarter of
// a million fields take 50 ms.
//
//   JsonReader json(text, "ids.json");              // {"red": 377, "circle": 330}
//   json.enter('{');
//   while (const auto name = json.next_name()) ids[*name] = json.whole();
//
// What is handed out lasts as long as the reader and its text. Whatever is not JSON is a ModelFileError that
// begins with `where` and names the byte; characters are not looked at, so text may not be UTF-8.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace paligemma {

class JsonReader {
 public:
  JsonReader(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}

  char next();            // what the value begins with: { [ " or another character
  void enter(char open);  // '{' or '['
  std::optional<std::string_view>
  next_name();              // of a field, whose value comes next; none at the end
  bool next_item();         // whether a value comes, or the end of the list
  std::string_view text();  // a value, without quotes and escapes
  int whole();              // from 0
  std::string_view raw();   // any value as it is written, of which only the end is looked for
  void expect_end();

 private:
  [[noreturn]] void fail(const std::string& expected) const;
  void expect(char c);
  bool closed_by(char close);  // else a comma stands before what comes, unless it is the first
  unsigned code_unit();
  void append_escape(std::string& decoded);

  std::string_view text_;
  std::string where_;
  std::size_t at_ = 0;
  bool first_ = false;  // nothing has come since enter()
  std::deque<std::string> decoded_;
};

}  // namespace paligemma
