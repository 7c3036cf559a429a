// world/other: 24 pictures that another renderer drew (tools/tiny/make_other.py), and what is on
// them.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "processing/image_file.h"
#include "tests/support/source_dir.h"
#include "world/geometry.h"

namespace paligemma::world {
namespace {

using nlohmann::json;

const std::string kFolder = test::source_dir() + "/world/other/";

json scenes() {
  std::ifstream file(kFolder + "scenes.json");
  return json::parse(file)["scenes"];
}

int distance(const std::uint8_t* a, const std::uint8_t* b) {
  return std::max({std::abs(a[0] - b[0]), std::abs(a[1] - b[1]), std::abs(a[2] - b[2])});
}

TEST(OtherPictures, HoldUpToThreeThingsOfPairsThatWereTrained) {
  const json all = scenes();
  EXPECT_EQ(all.size(), 24u);
  std::set<std::string> colors, shapes;
  for (const json& scene : all) {
    EXPECT_GE(scene["objects"].size(), 1u);
    EXPECT_LE(scene["objects"].size(), 3u);
    for (const json& object : scene["objects"]) {
      colors.insert(object["color"]);
      shapes.insert(object["shape"]);
      for (int i = 0; i < kColors * kShapes; ++i) {
        const Color color{i / kShapes};
        const Shape shape{i % kShapes};
        const bool is_it = object["color"].get<std::string>() == name_of(color) &&
                           object["shape"].get<std::string>() == name_of(shape);
        if (is_it) {
          EXPECT_FALSE(held_out(color, shape)) << scene["picture"];
        }
      }
    }
  }
  for (int i = 0; i < kColors; ++i)
    EXPECT_EQ(colors.count(std::string(name_of(Color{i}))), 1u) << i;
  for (int i = 0; i < kShapes; ++i)
    EXPECT_EQ(shapes.count(std::string(name_of(Shape{i}))), 1u) << i;
  EXPECT_EQ(colors.size() + shapes.size(), std::size_t{kColors + kShapes});
}

// Outside the boxes is background, and within each something reaches all four sides.
TEST(OtherPictures, AreWhatTheirBoxesSay) {
  for (const json& scene : scenes()) {
    const std::string name = scene["picture"];
    const RgbImage image = read_image(kFolder + name);
    const auto x = image.view();
    const Index height = x.size(0), width = x.size(1);
    const std::uint8_t* background = &x(0, 0, 0);
    std::vector<CanvasBox> wanted, seen;
    for (const json& object : scene["objects"]) {
      CanvasBox box = object["box"];
      for (std::size_t i = 0; i < 4; ++i) box[i] *= double(i % 2 == 0 ? height : width) / kCanvas;
      wanted.push_back(box);
      seen.push_back({1e9, 1e9, -1, -1});
    }
    int elsewhere = 0;
    for (Index row = 0; row < height; ++row) {
      for (Index column = 0; column < width; ++column) {
        if (distance(&x(row, column, 0), background) < 20) continue;
        bool found = false;
        for (std::size_t i = 0; i < wanted.size(); ++i) {
          const CanvasBox& box = wanted[i];
          if (double(row) < box[0] - 1 || double(row) > box[2] || double(column) < box[1] - 1 ||
              double(column) > box[3]) {
            continue;
          }
          found = true;
          seen[i] = {std::min(seen[i][0], double(row)), std::min(seen[i][1], double(column)),
                     std::max(seen[i][2], double(row + 1)),
                     std::max(seen[i][3], double(column + 1))};
        }
        elsewhere += !found;
      }
    }
    EXPECT_EQ(elsewhere, 0) << name;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      for (std::size_t k = 0; k < 4; ++k) {
        EXPECT_NEAR(seen[i][k], wanted[i][k], 1.5) << name << " object " << i << " side " << k;
      }
    }
  }
}

// At the middle of every box there is its color: the largest channels are those that its name says.
TEST(OtherPictures, HaveTheColorsOfTheirNames) {
  for (const json& scene : scenes()) {
    const RgbImage image = read_image(kFolder + scene["picture"].get<std::string>());
    const auto x = image.view();
    for (const json& object : scene["objects"]) {
      const CanvasBox box = object["box"];
      const auto at = [&](std::size_t axis) {
        return static_cast<Index>((box[axis] + box[axis + 2]) / 2 / kCanvas *
                                  double(x.size(static_cast<int>(axis))));
      };
      const std::uint8_t* p = &x(at(0), at(1), 0);
      const int r = p[0], g = p[1], b = p[2];
      const std::map<std::string, bool> looks = {
          {"red", r > 2 * g && r > 2 * b},          {"orange", r > g && g > 2 * b && r > g + 60},
          {"yellow", r > 150 && g > 150 && b < 80}, {"green", g > r + 40 && g > b + 40},
          {"blue", b > r + 60 && b > g + 60},       {"purple", b > g + 60 && r > g + 40 && b >= r},
          {"pink", r > 200 && r > g + 40 && b > g}, {"black", r < 40 && g < 40 && b < 40}};
      EXPECT_TRUE(looks.at(object["color"]))
          << scene["picture"] << " " << object["color"] << " " << r << ", " << g << ", " << b;
    }
  }
}

}  // namespace
}  // namespace paligemma::world
