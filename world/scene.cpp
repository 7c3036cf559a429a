#include "world/scene.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "world/random.h"

namespace paligemma::world {
namespace {

constexpr std::array<std::string_view, kShapes> kShapeNames = {"circle", "square", "triangle",
                                                               "star",   "heart",  "cross"};
constexpr std::array<std::string_view, kColors> kColorNames = {"red",  "orange", "yellow", "green",
                                                               "blue", "purple", "pink",   "black"};

template <class Named, std::size_t N>
std::optional<Named> named(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return Named{static_cast<int>(found - names.begin())};
}

// What passes for a colour: hue in degrees, saturation and value, as in HSV. The gaps between the
// ranges keep apart what people would argue about.
struct ColorRange {
  double hue[2], saturation[2], value[2];
};
constexpr std::array<ColorRange, kColors> kRanges = {{
    {{-8, 8}, {0.72, 1}, {0.72, 1}},        // red
    {{23, 39}, {0.8, 1}, {0.88, 1}},        // orange
    {{48, 61}, {0.65, 1}, {0.85, 1}},       // yellow
    {{95, 150}, {0.55, 1}, {0.42, 1}},      // green
    {{206, 246}, {0.65, 1}, {0.5, 1}},      // blue
    {{264, 301}, {0.5, 1}, {0.36, 0.93}},   // purple
    {{320, 351}, {0.25, 0.68}, {0.92, 1}},  // pink
    {{0, 360}, {0, 0.3}, {0, 0.17}},        // black
}};

Rgb rgb_of_hsv(double hue, double saturation, double value) {
  Rgb rgb;
  for (int channel = 0; channel < 3; ++channel) {
    const double turn = std::fmod(hue / 60 + 11 - 2 * channel, 6.0);  // red 5, green 3, blue 1
    const double away = std::clamp(std::min(turn, 4 - turn), 0.0, 1.0);
    rgb[channel] = value * (1 - saturation * away);
  }
  return rgb;
}

Rgb random_fill(Color color, Random& random) {
  const ColorRange& range = kRanges[static_cast<std::size_t>(color)];
  const auto in = [&](const double(&ends)[2]) { return random.between(ends[0], ends[1]); };
  const double hue = in(range.hue), saturation = in(range.saturation), value = in(range.value);
  return rgb_of_hsv(hue + 360, saturation, value);
}

Rgb light(Random& random) {
  const double grey = random.between(0.82, 1);
  const auto tinted = [&] { return std::min(1.0, grey + random.between(-0.05, 0.05)); };
  return {tinted(), tinted(), tinted()};
}

Look random_look(Random& random) {
  Look look;
  if (random.chance(0.4)) {  // not square: what is squashed is then not as it was drawn
    const double proportion = std::exp2(random.between(-0.45, 0.45));
    look.width = static_cast<int>(std::lround(224 * std::sqrt(proportion)));
    look.height = static_cast<int>(std::lround(224 / std::sqrt(proportion)));
  }
  if (random.chance(0.7)) look.background = light(random);
  look.background_end = random.chance(0.15) ? light(random) : look.background;
  if (random.chance(0.1)) look.clouds = random.between(0.01, 0.04);
  if (random.chance(0.3)) look.gamma = std::exp2(random.between(-0.3, 0.3));
  if (random.chance(0.2)) look.blur = random.between(0.4, 0.9);
  if (random.chance(0.3)) look.noise = random.between(0, 0.025);
  look.noise_seed = static_cast<std::uint64_t>(random.uniform() * 0x1p24);
  return look;
}

// What a thing covers, roughly: enough to keep things apart.
struct Reach {
  double x, y, half_width, half_height;
};

bool touch(const Reach& a, const Reach& b) {
  constexpr double kGap = 3;
  return std::abs(a.x - b.x) < a.half_width + b.half_width + kGap &&
         std::abs(a.y - b.y) < a.half_height + b.half_height + kGap;
}

// A place on the canvas that nothing covers yet, or none after some tries.
std::optional<Reach> free_place(double half_width, double half_height,
                                const std::vector<Reach>& taken, Random& random) {
  constexpr double kEdge = 2;
  constexpr int kTries = 40;
  for (int i = 0; i < kTries; ++i) {
    const Reach reach = {random.between(half_width + kEdge, kCanvas - half_width - kEdge),
                         random.between(half_height + kEdge, kCanvas - half_height - kEdge),
                         half_width, half_height};
    const auto touches = [&](const Reach& other) { return touch(reach, other); };
    if (std::none_of(taken.begin(), taken.end(), touches)) return reach;
  }
  return std::nullopt;
}

// How much longer a length of the picture is on the canvas, across and down, when it is squashed.
std::array<double, 2> stretch(const Look& look) {
  const double proportion = std::sqrt(static_cast<double>(look.height) / look.width);
  return {proportion, 1 / proportion};
}

Writing random_writing(Random& random) {
  static constexpr std::string_view kCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  Writing writing;
  const int length = 1 + random.weighted({0.4, 0.35, 0.25});
  for (int i = 0; i < length; ++i) writing.text += kCharacters[random.below(36)];
  writing.height = random.between(34, 52);
  writing.width = random.between(0.54, 0.7);
  writing.stroke = random.between(0.1, 0.17);
  writing.slant = random.chance(0.3) ? random.between(-0.12, 0.2) : 0;
  writing.ink = rgb_of_hsv(random.between(0, 360), random.between(0, 0.6), random.between(0, 0.35));
  return writing;
}

std::array<int, 2> random_pair(bool from_held_out, Random& random) {
  for (;;) {
    const int color = random.below(kColors), shape = random.below(kShapes);
    if (held_out(Color{color}, Shape{shape}) == from_held_out) return {color, shape};
  }
}

}  // namespace

std::string_view name_of(Shape shape) { return kShapeNames[static_cast<std::size_t>(shape)]; }
std::string_view name_of(Color color) { return kColorNames[static_cast<std::size_t>(color)]; }

std::optional<Shape> shape_named(std::string_view name) { return named<Shape>(kShapeNames, name); }
std::optional<Color> color_named(std::string_view name) { return named<Color>(kColorNames, name); }

std::string plural_of(Shape shape) {
  return std::string(name_of(shape)) + (shape == Shape::cross ? "es" : "s");
}

bool held_out(Color color, Shape shape) {
  return (color == Color::orange && shape == Shape::circle) ||
         (color == Color::pink && shape == Shape::square) ||
         (color == Color::blue && shape == Shape::heart) ||
         (color == Color::green && shape == Shape::cross);
}

Rgb typical(Color color) {
  static constexpr std::array<Rgb, kColors> kTypical = {{{0.87, 0.15, 0.15},
                                                         {0.98, 0.55, 0.1},
                                                         {0.98, 0.83, 0.1},
                                                         {0.15, 0.65, 0.25},
                                                         {0.15, 0.35, 0.9},
                                                         {0.55, 0.2, 0.72},
                                                         {0.98, 0.55, 0.76},
                                                         {0.08, 0.08, 0.08}}};
  return kTypical[static_cast<std::size_t>(color)];
}

Split split_named(std::string_view name) {
  if (name == "train") return Split::train;
  if (name == "val") return Split::validation;
  if (name == "test") return Split::test;
  if (name == "held-out") return Split::held_out;
  throw std::invalid_argument("a split is train, val, test or held-out, not " + std::string(name));
}

std::uint64_t scene_seed(Split split, std::uint64_t index) {
  return (static_cast<std::uint64_t>(split) << 40) + index;
}

Scene random_scene(Split split, std::uint64_t index, double writing_share) {
  Random random(scene_seed(split, index));
  Scene scene;
  scene.look = random_look(random);
  const auto [across, down] = stretch(scene.look);
  std::vector<Reach> taken;

  const bool has_held_out = split == Split::held_out;
  const bool wants_writing = random.chance(writing_share);
  int wanted = wants_writing ? random.weighted({0.25, 0.45, 0.3})
                             : random.weighted({0.06, 0.24, 0.35, 0.35});
  if (has_held_out) wanted = std::max(wanted, 1);
  for (int i = 0; i < wanted; ++i) {
    const auto [color, shape] = random_pair(has_held_out && i == 0, random);
    Object object = {};
    object.shape = Shape{shape};
    object.color = Color{color};
    object.radius = random.between(20, 40);
    object.angle = shape == 0 ? 0 : random.between(-12, 12);
    object.form = random.uniform();
    object.fill = random_fill(object.color, random);
    object.border = random.chance(0.15) ? random.between(1, 3) : 0;
    const auto place = free_place(object.radius * across, object.radius * down, taken, random);
    if (!place) continue;
    object.x = place->x;
    object.y = place->y;
    taken.push_back(*place);
    scene.objects.push_back(object);
  }

  if (wants_writing) {
    Writing writing = random_writing(random);
    const double half_height = writing.height / 2;
    const double half_width =
        half_height * (writing.width + kLetterGap) * double(writing.text.size());
    if (const auto place =
            free_place(half_width * across, half_height * 1.2 * down, taken, random)) {
      writing.x = place->x;
      writing.y = place->y;
      taken.push_back(*place);
      scene.writing = writing;
    }
  }
  return scene;
}

}  // namespace paligemma::world
