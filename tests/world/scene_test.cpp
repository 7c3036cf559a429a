#include "world/scene.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>

#include "tensor/philox.h"
#include "tests/support/error_text.h"

namespace paligemma::world {
namespace {

constexpr std::array<Split, 4> kSplits = {Split::train, Split::validation, Split::test,
                                          Split::held_out};

std::vector<Scene> scenes(Split split, std::uint64_t count) {
  std::vector<Scene> all;
  for (std::uint64_t i = 0; i < count; ++i) all.push_back(random_scene(split, i));
  return all;
}

template <class Visit>
void for_each_object(const std::vector<Scene>& all, const Visit& visit) {
  for (const Scene& scene : all) {
    for (const Object& object : scene.objects) visit(object, scene.look);
  }
}

// All that a scene says, as numbers.
std::vector<double> numbers_of(const Scene& s) {
  std::vector<double> all = {
      double(s.look.width), double(s.look.height),    s.look.clouds, s.look.gamma, s.look.blur,
      s.look.noise,         double(s.look.noise_seed)};
  const auto append = [&](const Rgb& rgb) { all.insert(all.end(), rgb.begin(), rgb.end()); };
  append(s.look.background);
  append(s.look.background_end);
  for (const Object& o : s.objects) {
    append(o.fill);
    all.insert(all.end(),
               {double(o.shape), double(o.color), o.x, o.y, o.radius, o.angle, o.form, o.border});
  }
  if (s.writing) {
    const Writing& w = *s.writing;
    append(w.ink);
    all.insert(all.end(), w.text.begin(), w.text.end());
    all.insert(all.end(), {w.x, w.y, w.height, w.width, w.stroke, w.slant});
  }
  return all;
}

struct Hsv {
  double hue, saturation, value;  // hue in degrees
};

Hsv hsv_of(const Rgb& rgb) {
  const double high = std::max({rgb[0], rgb[1], rgb[2]}), low = std::min({rgb[0], rgb[1], rgb[2]});
  const double range = std::max(high - low, 1e-12);
  double sixth = 0;
  if (high == rgb[0]) {
    sixth = (rgb[1] - rgb[2]) / range;
  } else if (high == rgb[1]) {
    sixth = 2 + (rgb[2] - rgb[0]) / range;
  } else {
    sixth = 4 + (rgb[0] - rgb[1]) / range;
  }
  return {sixth < 0 ? 60 * sixth + 360 : 60 * sixth, (high - low) / std::max(high, 1e-12), high};
}

// The table of docs/world/scene.md, in words of code.
bool passes_for(Color color, const Rgb& rgb) {
  const auto [hue, saturation, value] = hsv_of(rgb);
  const auto in = [](double x, double low, double high) {
    return x >= low - 1e-6 && x <= high + 1e-6;
  };
  switch (color) {
    case Color::red:
      return (in(hue, 352, 360) || in(hue, 0, 8)) && saturation > 0.719 && value > 0.719;
    case Color::orange:
      return in(hue, 23, 39) && saturation > 0.799 && value > 0.879;
    case Color::yellow:
      return in(hue, 48, 61) && saturation > 0.649 && value > 0.849;
    case Color::green:
      return in(hue, 95, 150) && saturation > 0.549 && value > 0.419;
    case Color::blue:
      return in(hue, 206, 246) && saturation > 0.649 && value > 0.499;
    case Color::purple:
      return in(hue, 264, 301) && saturation > 0.499 && in(value, 0.36, 0.93);
    case Color::pink:
      return in(hue, 320, 351) && in(saturation, 0.25, 0.68) && value > 0.919;
    case Color::black:
      return value < 0.171;
  }
  return false;
}

// docs/world/scene.md, "By hand".
TEST(Scenes, WorkedExample) {
  const std::uint64_t seed = scene_seed(Split::test, 22);
  EXPECT_EQ(seed, 2199023255574u);  // 2 x 2^40 + 22
  EXPECT_NEAR(philox_uniform(seed, 0), 0.535490, 5e-7) << "not below 0.4, so the picture is square";
  EXPECT_NEAR(philox_uniform(seed, 9), 0.154841, 5e-7) << "from 0.06 to 0.30, so one object";
  EXPECT_NEAR(philox_uniform(seed, 12), 0.346466, 5e-7) << "of the way from radius 20 to 40";

  const Scene scene = random_scene(Split::test, 22);
  EXPECT_EQ(scene.look.width, 224);
  EXPECT_EQ(scene.look.background, (Rgb{1, 1, 1}));
  EXPECT_FALSE(scene.writing);
  ASSERT_EQ(scene.objects.size(), 1u);
  const Object& object = scene.objects[0];
  EXPECT_EQ(object.color, Color::blue);
  EXPECT_EQ(object.shape, Shape::triangle);
  EXPECT_NEAR(object.radius, 26.929, 5e-4);
  EXPECT_NEAR(object.angle, 4.528, 5e-4);
  EXPECT_NEAR(object.x, 55.083, 5e-4);
  EXPECT_NEAR(object.y, 58.873, 5e-4);
  EXPECT_NEAR(hsv_of(object.fill).hue, 231.361, 5e-4);
  EXPECT_NEAR(hsv_of(object.fill).saturation, 0.695, 5e-4);
  EXPECT_NEAR(hsv_of(object.fill).value, 0.757, 5e-4);
}

TEST(Scenes, AreTheSameUnderTheSameNumber) {
  std::set<std::vector<double>> different;
  for (const Split split : kSplits) {
    for (std::uint64_t i = 0; i < 50; ++i) {
      const auto numbers = numbers_of(random_scene(split, i));
      EXPECT_EQ(numbers, numbers_of(random_scene(split, i)));
      different.insert(numbers);
    }
  }
  EXPECT_EQ(different.size(), 200u);
}

TEST(Scenes, OfTwoSplitsShareNoSeed) {
  constexpr std::uint64_t kLast = (std::uint64_t{1} << 40) - 1;  // a million million scenes
  for (std::size_t i = 0; i + 1 < kSplits.size(); ++i) {
    EXPECT_LT(scene_seed(kSplits[i], 0), scene_seed(kSplits[i], kLast));
    EXPECT_LT(scene_seed(kSplits[i], kLast), scene_seed(kSplits[i + 1], 0));
  }
}

TEST(Scenes, HoldTheHeldOutPairsInTheirSplitOnly) {
  EXPECT_TRUE(held_out(Color::orange, Shape::circle));
  EXPECT_TRUE(held_out(Color::pink, Shape::square));
  EXPECT_TRUE(held_out(Color::blue, Shape::heart));
  EXPECT_TRUE(held_out(Color::green, Shape::cross));
  std::set<std::pair<Color, Shape>> seen;
  for (const Split split : kSplits) {
    for (const Scene& scene : scenes(split, 300)) {
      const auto is_held_out = [](const Object& o) { return held_out(o.color, o.shape); };
      const auto count = std::count_if(scene.objects.begin(), scene.objects.end(), is_held_out);
      EXPECT_EQ(count, split == Split::held_out ? 1 : 0);
      for (const Object& o : scene.objects) seen.emplace(o.color, o.shape);
    }
  }
  EXPECT_EQ(seen.size(), std::size_t{kColors * kShapes}) << "every pair, in one split or another";
}

TEST(Scenes, HaveUpToThreeObjects) {
  std::map<std::size_t, int> counts;
  for (const Scene& scene : scenes(Split::train, 500)) ++counts[scene.objects.size()];
  EXPECT_EQ(counts.size(), 4u);
  EXPECT_EQ(counts.rbegin()->first, 3u);
  for (const auto& [objects, times] : counts) EXPECT_GT(times, 25) << objects;
}

TEST(Scenes, HaveObjectsOfAllShapesColorsAndSizes) {
  std::map<Shape, int> shapes;
  std::map<Color, int> colors;
  double smallest = 99, largest = 0, least_form = 1, most_form = 0, most_angle = 0;
  int bordered = 0, all = 0;
  for_each_object(scenes(Split::train, 500), [&](const Object& o, const Look&) {
    ++all;
    ++shapes[o.shape];
    ++colors[o.color];
    smallest = std::min(smallest, o.radius);
    largest = std::max(largest, o.radius);
    least_form = std::min(least_form, o.form);
    most_form = std::max(most_form, o.form);
    most_angle = std::max(most_angle, std::abs(o.angle));
    bordered += o.border > 0;
    EXPECT_TRUE(o.shape != Shape::circle || o.angle == 0);
    EXPECT_TRUE(o.border == 0 || (o.border >= 1 && o.border <= 3));
  });
  for (int i = 0; i < kShapes; ++i) EXPECT_NEAR(shapes[Shape{i}], all / 6.0, all / 20.0);
  for (int i = 0; i < kColors; ++i) EXPECT_NEAR(colors[Color{i}], all / 8.0, all / 20.0);
  EXPECT_GE(smallest, 20);
  EXPECT_LT(smallest, 21);
  EXPECT_LE(largest, 40);
  EXPECT_GT(largest, 39);
  EXPECT_LT(least_form, 0.02);
  EXPECT_GT(most_form, 0.98);
  EXPECT_LE(most_angle, 12);
  EXPECT_GT(most_angle, 11);
  EXPECT_NEAR(bordered, 0.15 * all, 0.05 * all);
}

TEST(Scenes, HaveColorsThatPassForTheirNames) {
  for (int i = 0; i < kColors; ++i) EXPECT_TRUE(passes_for(Color{i}, typical(Color{i}))) << i;
  for_each_object(scenes(Split::train, 300), [](const Object& o, const Look&) {
    EXPECT_TRUE(passes_for(o.color, o.fill))
        << name_of(o.color) << " " << o.fill[0] << ", " << o.fill[1] << ", " << o.fill[2];
  });
}

TEST(Scenes, HaveColorsThatAreFarFromEachOtherAndFromTheBackground) {
  std::vector<std::pair<Color, Rgb>> fills;
  for_each_object(scenes(Split::train, 300), [&](const Object& o, const Look& look) {
    fills.emplace_back(o.color, o.fill);
    fills.emplace_back(Color{kColors}, look.background);  // one more name
    fills.emplace_back(Color{kColors}, look.background_end);
  });
  double nearest = 9;
  for (const auto& [a, rgb_a] : fills) {
    for (const auto& [b, rgb_b] : fills) {
      if (a >= b) continue;
      nearest = std::min(nearest,
                         std::hypot(rgb_a[0] - rgb_b[0], rgb_a[1] - rgb_b[1], rgb_a[2] - rgb_b[2]));
    }
  }
  EXPECT_GT(nearest, 0.1) << "of the 1.73 from black to white";
}

// What a thing reaches: its radius, as long on the canvas as the picture is squashed.
TEST(Scenes, KeepThingsApartAndOnTheCanvas) {
  for (const Scene& scene : scenes(Split::train, 500)) {
    const double across = std::sqrt(double(scene.look.height) / scene.look.width);
    struct Reach {
      double x, y, half_width, half_height;
    };
    std::vector<Reach> reaches;
    for (const Object& o : scene.objects) {
      reaches.push_back({o.x, o.y, o.radius * across, o.radius / across});
    }
    if (scene.writing) {
      const Writing& w = *scene.writing;
      reaches.push_back({w.x, w.y, w.height / 2 * double(w.text.size()) * (w.width + 0.3) * across,
                         w.height / 2 * 1.2 / across});
    }
    for (std::size_t i = 0; i < reaches.size(); ++i) {
      const Reach& a = reaches[i];
      EXPECT_GE(a.x - a.half_width, 2 - 1e-9);
      EXPECT_GE(a.y - a.half_height, 2 - 1e-9);
      EXPECT_LE(a.x + a.half_width, 222 + 1e-9);
      EXPECT_LE(a.y + a.half_height, 222 + 1e-9);
      for (std::size_t j = 0; j < i; ++j) {
        const Reach& b = reaches[j];
        EXPECT_TRUE(std::abs(a.x - b.x) >= a.half_width + b.half_width + 3 ||
                    std::abs(a.y - b.y) >= a.half_height + b.half_height + 3);
      }
    }
  }
}

TEST(Scenes, HoldATextInOneOfFour) {
  std::set<char> characters;
  std::map<std::size_t, int> lengths;
  int slanted = 0;
  constexpr int kScenes = 1000;
  for (const Scene& scene : scenes(Split::train, kScenes)) {
    if (!scene.writing) continue;
    ++lengths[scene.writing->text.size()];
    characters.insert(scene.writing->text.begin(), scene.writing->text.end());
    slanted += scene.writing->slant != 0;
    EXPECT_GE(scene.writing->height, 34);
    EXPECT_LE(scene.writing->height, 52);
    for (const double channel : scene.writing->ink) EXPECT_LE(channel, 0.35);
  }
  const int all = lengths[1] + lengths[2] + lengths[3];
  EXPECT_EQ(lengths.size(), 3u);
  EXPECT_EQ(characters.size(), 36u);
  EXPECT_NEAR(all, kScenes / 4.0, 0.05 * kScenes) << "fewer by those that found no place";
  EXPECT_GT(lengths[1], lengths[3]);
  EXPECT_NEAR(slanted, 0.3 * all, 0.1 * all);
}

TEST(Scenes, HoldAsManyTextsAsAreAskedFor) {
  int written = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    EXPECT_FALSE(random_scene(Split::train, i, 0).writing);
    written += random_scene(Split::train, i, 1).writing.has_value();
    EXPECT_EQ(numbers_of(random_scene(Split::train, i, 0.25)),
              numbers_of(random_scene(Split::train, i)));
  }
  EXPECT_GT(written, 190) << "all but those that found no place";
}

TEST(Scenes, LookDifferent) {
  int wide = 0, high = 0, square = 0, white = 0, shaded = 0, cloudy = 0, gamma = 0, blur = 0,
      noise = 0;
  for (const Scene& scene : scenes(Split::train, 500)) {
    const Look& look = scene.look;
    const double proportion = double(look.width) / look.height;
    wide += proportion > 1.01;
    high += proportion < 0.99;
    square += look.width == look.height;
    white += look.background == Rgb{1, 1, 1};
    shaded += look.background != look.background_end;
    cloudy += look.clouds > 0;
    gamma += look.gamma != 1;
    blur += look.blur > 0;
    noise += look.noise > 0;
    EXPECT_LE(std::abs(std::log2(proportion)), 0.46);
    EXPECT_NEAR(look.width * look.height, 224 * 224, 250) << "as many pixels";
    EXPECT_LE(look.blur, 0.9);
    EXPECT_LE(look.noise, 0.025);
    EXPECT_LE(look.clouds, 0.04);
    EXPECT_LE(std::abs(std::log2(look.gamma)), 0.3);
    for (const double channel : look.background) EXPECT_GE(channel, 0.77);
    for (const double channel : look.background_end) EXPECT_GE(channel, 0.77);
  }
  EXPECT_NEAR(wide, 100, 40);
  EXPECT_NEAR(high, 100, 40);
  EXPECT_NEAR(square, 300, 50);
  EXPECT_NEAR(white, 150, 50);
  EXPECT_NEAR(shaded, 75, 35);
  EXPECT_NEAR(cloudy, 50, 30);
  EXPECT_NEAR(gamma, 150, 50);
  EXPECT_NEAR(blur, 100, 40);
  EXPECT_NEAR(noise, 150, 50);
}

TEST(Scenes, HaveThingsWithNames) {
  EXPECT_EQ(name_of(Shape::circle), "circle");
  EXPECT_EQ(name_of(Shape::cross), "cross");
  EXPECT_EQ(name_of(Color::red), "red");
  EXPECT_EQ(name_of(Color::black), "black");
  EXPECT_EQ(plural_of(Shape::star), "stars");
  EXPECT_EQ(plural_of(Shape::cross), "crosses");
  std::set<std::string_view> names;
  for (int i = 0; i < kShapes; ++i) names.insert(name_of(Shape{i}));
  for (int i = 0; i < kColors; ++i) names.insert(name_of(Color{i}));
  EXPECT_EQ(names.size(), std::size_t{kShapes + kColors});
}

TEST(Splits, AreNamed) {
  EXPECT_EQ(split_named("train"), Split::train);
  EXPECT_EQ(split_named("val"), Split::validation);
  EXPECT_EQ(split_named("test"), Split::test);
  EXPECT_EQ(split_named("held-out"), Split::held_out);
  const std::string text =
      test::error_text<std::invalid_argument>([] { split_named("validation"); });
  EXPECT_TRUE(test::holds(text, "train, val, test or held-out", "validation"));
}

}  // namespace
}  // namespace paligemma::world
