// JSON to be printed: a value is its text, and fields stay in the order in which they are given.
//
//   object({{"id", 7}, {"box", array({1.5, 2.0})}})  ->  {"id":7,"box":[1.5,2.0]}
//
// nlohmann's library takes seconds to compile, so of the program only json.cpp and eval.cpp, which
// reads, see it.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace paligemma::cli {

class Json {
 public:
  Json() : text_("null") {}
  // NOLINTBEGIN(google-explicit-constructor): whatever can be printed stands for itself
  Json(bool value) : text_(value ? "true" : "false") {}
  template <std::integral Number>
  Json(Number number) : text_(std::to_string(number)) {}
  Json(double number);          // null if it is not a number
  Json(std::string_view text);  // a file's name, say, need not be UTF-8: U+FFFD where it is not
  Json(const std::string& text) : Json(std::string_view(text)) {}
  Json(const char* text) : Json(std::string_view(text)) {}
  // NOLINTEND(google-explicit-constructor)

  // What is JSON already.
  static Json of_text(std::string text) {
    Json json;
    json.text_ = std::move(text);
    return json;
  }

  const std::string& text() const { return text_; }  // on one line
  std::string indented() const;

 private:
  std::string text_;
};

using Field = std::pair<std::string, Json>;
Json object(const std::vector<Field>& fields);

Json array(const std::vector<Json>& values);
template <class Range>
Json array_of(const Range& values) {
  return array(std::vector<Json>(values.begin(), values.end()));
}

}  // namespace paligemma::cli
