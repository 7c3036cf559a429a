#include "cli/json.h"

#include <nlohmann/json.hpp>

namespace paligemma::cli {
namespace {

using nlohmann::ordered_json;

std::string text_of(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

Json::Json(double number) : text_(text_of(number)) {}

Json::Json(std::string_view text) : text_(text_of(text)) {}

std::string Json::indented() const { return ordered_json::parse(text_).dump(2); }

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

}  // namespace paligemma::cli
