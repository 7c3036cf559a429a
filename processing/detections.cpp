#include "processing/detections.h"

#include <cctype>
#include <optional>

namespace paligemma {
namespace {

// Takes "<loc0051>" off the front of `text`, for ("<loc", 4), and gives 51.
std::optional<int> take_token(std::string_view& text, std::string_view kind, std::size_t digits) {
  if (!text.starts_with(kind) || text.size() < kind.size() + digits + 1) return std::nullopt;
  int number = 0;
  for (char c : text.substr(kind.size(), digits)) {
    if (!std::isdigit(static_cast<unsigned char>(c))) return std::nullopt;
    number = 10 * number + (c - '0');
  }
  if (text[kind.size() + digits] != '>') return std::nullopt;
  text.remove_prefix(kind.size() + digits + 1);
  return number;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
    text.remove_suffix(1);
  }
  return text;
}

// An object off the front of `text`; nothing if none stands there.
std::optional<Detection> take_object(std::string_view& text) {
  std::string_view rest = text;
  Detection detection{};
  for (int& bin : detection.bins) {
    const auto number = take_token(rest, "<loc", 4);
    if (!number || *number > 1023) return std::nullopt;
    bin = *number;
  }
  while (!rest.empty() && std::isspace(static_cast<unsigned char>(rest.front()))) {
    rest.remove_prefix(1);
  }

  std::string_view behind_mask = rest;
  std::vector<int> mask;
  while (mask.size() < 16) {
    const auto code = take_token(behind_mask, "<seg", 3);
    if (!code || *code > 127) break;
    mask.push_back(*code);
  }
  if (mask.size() == 16) detection.mask = mask;
  if (!mask.empty()) rest = behind_mask;

  const std::string_view label = rest.substr(0, rest.find_first_of(";<"));
  detection.label = std::string(trimmed(label));
  rest.remove_prefix(label.size());
  text = rest;
  return detection;
}

}  // namespace

std::vector<Detection> parse_detections(std::string_view answer) {
  std::vector<Detection> found;
  for (;;) {
    const auto next = answer.find("<loc");
    if (next == answer.npos) return found;
    answer.remove_prefix(next);
    const auto object = take_object(answer);
    if (!object) {
      answer.remove_prefix(1);
      continue;
    }
    const auto [y_min, x_min, y_max, x_max] = object->bins;
    if (y_min < y_max && x_min < x_max) found.push_back(*object);
  }
}

Box pixel_box(const Detection& detection, int width, int height) {
  const auto [y_min, x_min, y_max, x_max] = detection.bins;
  const double per_x = width / 1023.0, per_y = height / 1023.0;
  return {x_min * per_x, y_min * per_y, x_max * per_x, y_max * per_y};
}

}  // namespace paligemma
