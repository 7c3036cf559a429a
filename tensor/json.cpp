#include "tensor/json.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "tensor/errors.h"
#include "tensor/what_it_is.h"

namespace paligemma {

using nlohmann::json;

namespace {

json parsed_object(std::string_view text, const std::string& where) {
  constexpr int kMaxDepth = 32;
  std::vector<std::set<std::string>> keys;  // of each object that is open
  const auto check = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > kMaxDepth) throw ModelFileError(where + ": nested too deeply");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
      throw ModelFileError(where + ": the key " + value.dump() + " stands there twice");
    }
    return true;
  };
  try {
    json object = json::parse(text.begin(), text.end(), check);
    if (!object.is_object()) throw ModelFileError(where + ": not a JSON object");
    return object;
  } catch (const json::exception& error) {
    const std::string found = what_it_is(text);
    throw ModelFileError(where +
                         ": not JSON: " + (found.empty() ? error.what() : "looks like " + found));
  }
}

// Kinds of values: what one holds, or nothing if it is of another kind.
struct Whole {
  Index min, max;
  std::optional<Index> of(const json& value) const {
    if (!value.is_number_unsigned()) return std::nullopt;
    const auto number = value.get<std::uint64_t>();
    if (number < static_cast<std::uint64_t>(min) || number > static_cast<std::uint64_t>(max)) {
      return std::nullopt;
    }
    return static_cast<Index>(number);
  }
  std::string name() const {
    return "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
  }
};

struct Number {
  double min, max;
  std::optional<double> of(const json& value) const {
    if (!value.is_number()) return std::nullopt;
    const auto number = value.get<double>();
    return number >= min && number <= max ? std::optional(number) : std::nullopt;
  }
  std::string name() const {
    return "a number from " + std::to_string(min) + " to " + std::to_string(max);
  }
};

struct Flag {
  std::optional<bool> of(const json& value) const {
    return value.is_boolean() ? std::optional(value.get<bool>()) : std::nullopt;
  }
  std::string name() const { return "true or false"; }
};

struct Text {
  std::optional<std::string> of(const json& value) const {
    return value.is_string() ? std::optional(value.get<std::string>()) : std::nullopt;
  }
  std::string name() const { return "a text"; }
};

std::string text_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

JsonFields::JsonFields(std::string_view text, std::string where)
    : object_(std::make_shared<const json>(parsed_object(text, where))), where_(std::move(where)) {}

JsonFields::JsonFields(std::shared_ptr<const json> object, std::string where)
    : object_(std::move(object)), where_(std::move(where)) {}

bool JsonFields::has(const std::string& name) const {
  return object_->contains(name) && !(*object_)[name].is_null();
}

bool JsonFields::is_null(const std::string& name) const {
  return object_->contains(name) && (*object_)[name].is_null();
}

bool JsonFields::is_object(const std::string& name) const {
  return has(name) && (*object_)[name].is_object();
}

bool JsonFields::is_list(const std::string& name) const {
  return has(name) && (*object_)[name].is_array();
}

bool JsonFields::is_text(const std::string& name) const {
  return has(name) && (*object_)[name].is_string();
}

bool JsonFields::is_number(const std::string& name) const {
  return has(name) && (*object_)[name].is_number();
}

bool JsonFields::says_nothing(const std::string& name, double neutral) const {
  if (!has(name)) return true;
  const json& value = (*object_)[name];
  if (value.is_number()) return value.get<double>() == neutral;
  return value == false || (value.is_structured() && value.empty());
}

std::vector<std::string> JsonFields::names() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : object_->items()) names.push_back(name);
  return names;
}

std::string JsonFields::as_json(const std::string& name) const { return text_of((*object_)[name]); }

std::string JsonFields::all() const { return object_->dump(); }

void JsonFields::fail(const std::string& name, const std::string& problem) const {
  throw ModelFileError(where_ + "." + name + ": " + problem);
}

template <class Kind>
auto JsonFields::value(const std::string& name, const Kind& kind) const {
  if (!has(name)) fail(name, "missing");
  const json& value = (*object_)[name];
  const auto found = kind.of(value);
  if (!found) fail(name, value.dump() + " is not " + kind.name());
  return *found;
}

template <class Kind>
auto JsonFields::list(const std::string& name, const Kind& kind) const {
  if (!is_list(name)) fail(name, "missing, or not a list");
  std::vector<typename decltype(kind.of(*object_))::value_type> values;
  for (const json& value : (*object_)[name]) {
    const auto found = kind.of(value);
    if (!found) fail(name, value.dump() + " is not " + kind.name());
    values.push_back(*found);
  }
  return values;
}

Index JsonFields::size(const std::string& name, Index absent, Index max) const {
  return has(name) ? value(name, Whole{1, max}) : absent;
}

float JsonFields::number(const std::string& name, float absent, float min, float max) const {
  return has(name) ? static_cast<float>(value(name, Number{min, max})) : absent;
}

double JsonFields::number(const std::string& name, double min, double max) const {
  return value(name, Number{min, max});
}

bool JsonFields::flag(const std::string& name, bool absent) const {
  return has(name) ? value(name, Flag()) : absent;
}

std::string JsonFields::text(const std::string& name) const { return value(name, Text()); }

std::string JsonFields::text(const std::string& name, const std::string& absent) const {
  return has(name) ? text(name) : absent;
}

Index JsonFields::whole(const std::string& name, Index max) const {
  return value(name, Whole{0, max});
}

std::vector<Index> JsonFields::whole_numbers(const std::string& name, Index max) const {
  return list(name, Whole{0, max});
}

std::vector<double> JsonFields::numbers(const std::string& name, double min, double max) const {
  return list(name, Number{min, max});
}

std::vector<std::string> JsonFields::texts(const std::string& name) const {
  return list(name, Text());
}

JsonFields JsonFields::object(const std::string& name) const {
  return object(name, where_ + "." + name);
}

JsonFields JsonFields::object(const std::string& name, std::string where) const {
  if (!is_object(name)) fail(name, "missing, or not an object");
  return {std::shared_ptr<const json>(object_, &(*object_)[name]), std::move(where)};
}

std::vector<JsonFields> JsonFields::objects(const std::string& name) const {
  if (!is_list(name)) fail(name, "missing, or not a list");
  std::vector<JsonFields> objects;
  for (const json& object : (*object_)[name]) {
    if (!object.is_object()) fail(name, object.dump() + " is not an object");
    objects.push_back({std::shared_ptr<const json>(object_, &object), where_ + "." + name});
  }
  return objects;
}

void JsonFields::refuse_unless(const std::string& name, bool supported_value) const {
  if (flag(name, supported_value) != supported_value) fail(name, "not supported");
}

Json::Json(double number) : text_(text_of(number)) {}

Json::Json(std::string_view text) : text_(text_of(text)) {}

Json object(const std::vector<Field>& fields) {
  std::string text = "{";
  for (const auto& [name, value] : fields) {
    text += (text.size() > 1 ? "," : "") + Json(name).text() + ":" + value.text();
  }
  return Json::of_text(text + "}");
}

Json array(const std::vector<Json>& values) {
  std::string text = "[";
  for (const Json& value : values) text += (text.size() > 1 ? "," : "") + value.text();
  return Json::of_text(text + "]");
}

}  // namespace paligemma
