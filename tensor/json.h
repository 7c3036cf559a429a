// Reading JSON that nobody vouches for: no duplicate keys, no towers of brackets.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "tensor/view.h"

namespace paligemma {

// Throws ModelFileError, which begins with `where`, if `text` is not one JSON object.
nlohmann::json parse_json_object(std::string_view text, const std::string& where);

// One JSON object, read field by field. A field that is absent or null has its default; one of the
// wrong type or out of range is a ModelFileError that names it.
class JsonFields {
 public:
  JsonFields(const nlohmann::json& object, std::string where)
      : object_(object), where_(std::move(where)) {}

  bool has(const char* name) const;
  bool is_null(const char* name) const;  // present, and null
  const nlohmann::json& operator[](const char* name) const { return object_[name]; }
  [[noreturn]] void fail(const char* name, const std::string& problem) const;

  Index size(const char* name, Index absent, Index max) const;  // 1 to max
  float number(const char* name, float absent, float min, float max) const;
  bool flag(const char* name, bool absent) const;
  std::string text(const char* name, const std::string& absent) const;
  JsonFields object(const char* name) const;

  // For features that would change the result and that are not supported.
  void refuse_unless(const char* name, bool supported_value) const;

 private:
  const nlohmann::json& object_;
  std::string where_;
};

}  // namespace paligemma
