#include "world/description.h"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <stdexcept>

namespace paligemma::world {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1);
}

// The part before the first `separator`; `rest` keeps what follows it.
std::string_view take_until(char separator, std::string_view& rest) {
  const auto at = rest.find(separator);
  const std::string_view part = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view{} : rest.substr(at + 1);
  return trimmed(part);
}

double coordinate(std::string_view text, std::string_view item) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0) ||
      value > kCanvas) {
    throw std::invalid_argument("a place is two numbers from 0 to 224, as in \"@ 60,80\", not \"" +
                                std::string(item) + "\"");
  }
  return value;
}

struct Place {
  double x, y;
};

Place parse_place(std::string_view text, std::string_view item) {
  const std::string_view x = take_until(',', text);
  return {coordinate(x, item), coordinate(trimmed(text), item)};
}

Object parse_object(std::string_view words, std::string_view item) {
  std::istringstream stream{std::string(words)};
  std::optional<Color> color;
  std::optional<Shape> shape;
  std::optional<double> radius;
  for (std::string word; stream >> word;) {
    const auto as_color = color_named(word);
    const auto as_shape = shape_named(word);
    const bool is_size = word == "small" || word == "large";
    if (as_color && !color) {
      color = as_color;
    } else if (as_shape && !shape) {
      shape = as_shape;
    } else if (is_size && !radius) {
      radius = word == "small" ? kSmall : kLarge;
    } else if (word != "a" && word != "an") {
      const bool second = as_color || as_shape || is_size;
      throw std::invalid_argument("\"" + word + "\" is " +
                                  (second ? "one too many" : "no color, shape or size") +
                                  ", in \"" + std::string(item) + "\"");
    }
  }
  if (!color || !shape) {
    throw std::invalid_argument("a color and a shape are needed, as in \"red circle\", not \"" +
                                std::string(item) + "\"");
  }
  Object object = {};
  object.radius = radius.value_or(kMedium);
  object.color = *color;
  object.shape = *shape;
  object.fill = typical(*color);
  return object;
}

Writing parse_writing(std::string_view words, std::string_view item) {
  Writing writing = {.text = std::string(words), .x = 0, .y = 0, .height = 40};
  const auto drawable = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  if (writing.text.empty() || writing.text.size() > 5 ||
      !std::all_of(writing.text.begin(), writing.text.end(), drawable)) {
    throw std::invalid_argument("a text is 1 to 5 of A to Z and 0 to 9, not " + std::string(item));
  }
  return writing;
}

}  // namespace

Scene parse_scene(std::string_view description) {
  Scene scene;
  std::vector<std::pair<double*, double*>> unplaced;
  scene.objects.reserve(static_cast<std::size_t>(
      std::count(description.begin(), description.end(), ';') + 1));  // pointers stay valid
  while (!trimmed(description).empty()) {
    const std::string_view item = take_until(';', description);
    const auto at = item.find('@');
    const std::string_view words = trimmed(item.substr(0, at));
    std::optional<Place> place;
    if (at != item.npos) place = parse_place(item.substr(at + 1), item);
    double *x, *y;
    if (words.size() >= 2 && words.starts_with('"') && words.ends_with('"')) {
      if (scene.writing) throw std::invalid_argument("a scene has one text at most");
      scene.writing = parse_writing(words.substr(1, words.size() - 2), item);
      x = &scene.writing->x;
      y = &scene.writing->y;
    } else {
      scene.objects.push_back(parse_object(words, item));
      x = &scene.objects.back().x;
      y = &scene.objects.back().y;
    }
    if (place) {
      *x = place->x;
      *y = place->y;
    } else {
      unplaced.emplace_back(x, y);
    }
  }
  for (std::size_t i = 0; i < unplaced.size(); ++i) {
    *unplaced[i].first = kCanvas * (double(i) + 0.5) / double(unplaced.size());
    *unplaced[i].second = kCanvas / 2;
  }
  return scene;
}

}  // namespace paligemma::world
