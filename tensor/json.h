// JSON: read although nobody vouches for it, and made to be printed.
//
// nlohmann's library takes seconds to compile, so json.cpp alone sees it.
#pragma once

#include <concepts>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/view.h"

namespace paligemma {

// One JSON object, read field by field. A field that is absent or null has its default, or is refused if
// there is none; one of the wrong type or out of range is a ModelFileError that names it.
class JsonFields {
 public:
  // Throws ModelFileError, which begins with `where`, if `text` is not one JSON object, has a key twice
  // or is nested too deeply.
  JsonFields(std::string_view text, std::string where);

  bool has(const std::string& name) const;
  bool is_null(const std::string& name) const;  // present, and null
  bool is_object(const std::string& name) const;
  bool is_list(const std::string& name) const;
  bool is_text(const std::string& name) const;
  bool is_number(const std::string& name) const;
  // Absent, null, false, an empty list or object, or this number.
  bool says_nothing(const std::string& name, double neutral = 0) const;
  std::vector<std::string> names() const;              // of all fields
  std::string all() const;                             // on one line
  std::string as_json(const std::string& name) const;  // a field that is there, as JSON on one line
  [[noreturn]] void fail(const std::string& name, const std::string& problem) const;

  Index size(const std::string& name, Index absent, Index max) const;  // 1 to max
  float number(const std::string& name, float absent, float min, float max) const;
  bool flag(const std::string& name, bool absent) const;
  std::string text(const std::string& name) const;
  std::string text(const std::string& name, const std::string& absent) const;
  JsonFields object(const std::string& name) const;
  JsonFields object(const std::string& name, std::string where) const;  // in its messages
  Index whole(const std::string& name, Index max) const;                // 0 to max
  double number(const std::string& name, double min, double max) const;
  std::vector<Index> whole_numbers(const std::string& name, Index max) const;
  std::vector<double> numbers(const std::string& name, double min, double max) const;
  std::vector<std::string> texts(const std::string& name) const;
  std::vector<JsonFields> objects(const std::string& name) const;

  // For features that would change the result and that are not supported.
  void refuse_unless(const std::string& name, bool supported_value) const;

 private:
  JsonFields(std::shared_ptr<const nlohmann::json> object, std::string where);

  // Of a kind in json.cpp, or refused.
  template <class Kind>
  auto value(const std::string& name, const Kind& kind) const;
  template <class Kind>
  auto list(const std::string& name, const Kind& kind) const;

  std::shared_ptr<const nlohmann::json> object_;
  std::string where_;
};

// A value is its text, and fields stay in the order in which they are given.
//
//   object({{"id", 7}, {"box", array({1.5, 2.0})}})  ->  {"id":7,"box":[1.5,2.0]}
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

}  // namespace paligemma
