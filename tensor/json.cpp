#include "tensor/json.h"

#include <set>
#include <vector>

#include "tensor/errors.h"

namespace paligemma {

using nlohmann::json;

json parse_json_object(std::string_view text, const std::string& where) {
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
    throw ModelFileError(where + ": not JSON: " + error.what());
  }
}

bool JsonFields::has(const char* name) const {
  return object_.contains(name) && !object_[name].is_null();
}

bool JsonFields::is_null(const char* name) const {
  return object_.contains(name) && object_[name].is_null();
}

void JsonFields::fail(const char* name, const std::string& problem) const {
  throw ModelFileError(where_ + "." + name + ": " + problem);
}

Index JsonFields::size(const char* name, Index absent, Index max) const {
  if (!has(name)) return absent;
  const json& value = object_[name];
  if (!value.is_number_integer() || value < 1 || value > max) {
    fail(name, value.dump() + " is not a size from 1 to " + std::to_string(max));
  }
  return value.get<Index>();
}

float JsonFields::number(const char* name, float absent, float min, float max) const {
  if (!has(name)) return absent;
  const json& value = object_[name];
  if (!value.is_number() || !(value.get<double>() >= min) || !(value.get<double>() <= max)) {
    fail(name, value.dump() + " is not a number from " + std::to_string(min) + " to " +
                   std::to_string(max));
  }
  return value.get<float>();
}

bool JsonFields::flag(const char* name, bool absent) const {
  if (!has(name)) return absent;
  if (!object_[name].is_boolean()) fail(name, object_[name].dump() + " is not true or false");
  return object_[name].get<bool>();
}

std::string JsonFields::text(const char* name, const std::string& absent) const {
  if (!has(name)) return absent;
  if (!object_[name].is_string()) fail(name, object_[name].dump() + " is not a text");
  return object_[name].get<std::string>();
}

JsonFields JsonFields::object(const char* name) const {
  if (!has(name) || !object_[name].is_object()) fail(name, "missing, or not an object");
  return JsonFields(object_[name], where_ + "." + name);
}

void JsonFields::refuse_unless(const char* name, bool supported_value) const {
  if (flag(name, supported_value) != supported_value) fail(name, "not supported");
}

}  // namespace paligemma
