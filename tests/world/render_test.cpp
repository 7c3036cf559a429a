#include "world/render.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "world/description.h"

namespace paligemma::world {
namespace {

constexpr double kPi = std::numbers::pi;

// Black on white, so that a pixel says how far it is covered.
Scene scene_of(Shape shape, double x, double y, double radius, double angle = 0) {
  Object object = {};
  object.shape = shape;
  object.x = x;
  object.y = y;
  object.radius = radius;
  object.angle = angle;
  object.fill = {0, 0, 0};
  Scene scene;
  scene.objects = {object};
  return scene;
}

double covered(const RgbImage& image) {
  double sum = 0;
  const auto x = image.view();
  for (Index i = 0; i < x.count(); i += 3) sum += 1 - x.data()[i] / 255.0;
  return sum;
}

// The rows and columns that hold a pixel for which `wanted` holds: y min, x min, y max, x max.
template <class Wanted>
CanvasBox extent(Index height, Index width, const Wanted& wanted) {
  CanvasBox box = {1e9, 1e9, -1, -1};
  for (Index y = 0; y < height; ++y) {
    for (Index x = 0; x < width; ++x) {
      if (!wanted(y, x)) continue;
      box = {std::min(box[0], double(y)), std::min(box[1], double(x)),
             std::max(box[2], double(y + 1)), std::max(box[3], double(x + 1))};
    }
  }
  return box;
}

struct Statistics {
  double mean, deviation;
};

// Of the bytes of one channel.
Statistics statistics(const RgbImage& image, Index channel) {
  double sum = 0, squares = 0;
  const auto x = image.view();
  const double n = double(x.count()) / 3;
  for (Index i = channel; i < x.count(); i += 3) {
    sum += x.data()[i];
    squares += double(x.data()[i]) * x.data()[i];
  }
  return {sum / n, std::sqrt(squares / n - sum / n * (sum / n))};
}

Scene plain(double grey) {
  Scene scene;
  scene.look.background = scene.look.background_end = {grey, grey, grey};
  return scene;
}

// docs/world/render.md, "By hand". A square of radius 30 is 54 wide: about x = 60.25 it reaches
// from 33.25 to 87.25.
TEST(Render, WorkedExample) {
  const RgbImage image = render(parse_scene("red square @ 60.25,112"));
  const auto red = [&](Index x) { return int{image.view()(112, x, 0)}; };
  const auto green = [&](Index x) { return int{image.view()(112, x, 1)}; };
  EXPECT_EQ(red(32), 255);
  EXPECT_EQ(green(32), 255);
  EXPECT_EQ(red(33), 230);   // covered by 0.25 + 0.5: 1 - 0.75 x 0.13 = 0.9025
  EXPECT_EQ(green(33), 92);  // 1 - 0.75 x 0.85 = 0.3625
  EXPECT_EQ(red(34), 222);   // 0.87 x 255 = 221.85
  EXPECT_EQ(green(34), 38);  // 0.15 x 255 = 38.25
  EXPECT_EQ(green(86), 38);
  EXPECT_EQ(green(87), 201);  // covered by 0.25
  EXPECT_EQ(green(88), 255);
}

TEST(Render, DrawsPicturesOfTheSizeThatIsAskedFor) {
  Scene scene;
  scene.look.width = 31;
  scene.look.height = 17;
  const RgbImage image = render(scene);
  EXPECT_EQ(image.view().shape(), (std::array<Index, 3>{17, 31, 3}));
  EXPECT_TRUE(std::all_of(image.view().data(), image.view().data() + image.view().count(),
                          [](int byte) { return byte == 255; }));
}

// Within a pixel, also where the picture is squashed and the shape turned.
TEST(Render, FillsTheBoxesOfTheTruth) {
  for (int shape = 0; shape < kShapes; ++shape) {
    for (const auto& [width, height] : {std::pair{448, 448}, {400, 200}, {200, 400}}) {
      Scene scene = scene_of(Shape{shape}, 110, 115, 38, 10);
      scene.look.width = width;
      scene.look.height = height;
      const auto mask = render_mask(scene, 0);
      const auto view = mask.view();
      const CanvasBox seen =
          extent(height, width, [&](Index y, Index x) { return view(y, x) != 0; });
      const CanvasBox truth = truth_of(scene).things[0].box;
      for (std::size_t side = 0; side < 4; ++side) {
        const double pixels = (side % 2 == 0 ? height : width) / kCanvas;
        const bool is_cusp = Shape{shape} == Shape::heart && side == 2;  // thinner than a pixel
        EXPECT_NEAR(seen[side], truth[side] * pixels, is_cusp ? 2 : 1)
            << name_of(Shape{shape}) << " " << width << " side " << side;
      }
    }
  }
}

TEST(Render, CoversTheAreasOfTheFormulas) {
  const double r = 36;
  EXPECT_NEAR(covered(render(scene_of(Shape::circle, 112.3, 110.6, r))), kPi * r * r,
              0.004 * kPi * r * r);
  for (const double angle : {0.0, 7.0, -12.0}) {
    EXPECT_NEAR(covered(render(scene_of(Shape::square, 112.3, 110.6, r, angle))), 1.8 * r * 1.8 * r,
                2);
    EXPECT_NEAR(covered(render(scene_of(Shape::triangle, 112.3, 110.6, r, angle))),
                0.92 * 1.7 * r * r, 2);
  }
}

// Moving a square by a part of a pixel moves its shade, not its area.
TEST(Render, CoversTheSameAreaWhereverAShapeLies) {
  for (const double shift : {0.0, 0.1, 0.25, 0.5, 0.9}) {
    EXPECT_NEAR(covered(render(scene_of(Shape::square, 100 + shift, 112 - shift, 30))), 54 * 54, 1);
  }
}

TEST(Render, DrawsMasksOfThePixelsWhoseCentresLieInside) {
  const auto mask = render_mask(parse_scene("blue star @ 20,20; red square @ 60.25,112"), 1);
  const auto view = mask.view();
  const CanvasBox seen = extent(224, 224, [&](Index y, Index x) { return view(y, x) == 255; });
  EXPECT_EQ(seen, (CanvasBox{85, 33, 139, 87}));
  EXPECT_EQ(std::count(view.data(), view.data() + view.count(), 255), 54 * 54);
  EXPECT_EQ(std::count(view.data(), view.data() + view.count(), 0), 224 * 224 - 54 * 54);
}

TEST(Render, PaintsWhereTheMaskIs) {
  const Scene scene = scene_of(Shape::heart, 100, 120, 38, 9);
  const RgbImage image = render(scene);
  const auto mask = render_mask(scene, 0);
  for (Index y = 0; y < 224; ++y) {
    for (Index x = 0; x < 224; ++x) {
      // Where the centre lies on the edge, half is covered.
      EXPECT_EQ(mask.view()(y, x) == 255, image.view()(y, x, 0) < 127.5) << y << ", " << x;
    }
  }
}

TEST(Render, CutsWhatReachesBeyondThePicture) {
  const Scene scene = scene_of(Shape::square, 10, 220, 30);
  const RgbImage image = render(scene);
  EXPECT_NEAR(covered(image), 37 * 31, 1);
  EXPECT_EQ(image.view()(223, 0, 0), 0);
}

TEST(Render, DrawsADarkerBorderWithinTheShape) {
  Scene scene = parse_scene("red square @ 112,112");  // from 85 to 139
  scene.objects[0].border = 2;
  const RgbImage image = render(scene);
  const auto red = [&](Index x) { return int{image.view()(112, x, 0)}; };
  EXPECT_EQ(red(84), 255);
  EXPECT_EQ(red(85), 133);  // 0.6 x 222
  EXPECT_EQ(red(86), 133);
  EXPECT_EQ(red(87), 222);
  EXPECT_EQ(red(136), 222);
  EXPECT_EQ(red(137), 133);
  EXPECT_EQ(red(139), 255);
}

TEST(Render, PaintsLaterObjectsOverEarlierOnes) {
  const RgbImage image = render(parse_scene("red square @ 112,112; black circle @ 112,112"));
  EXPECT_EQ(int{image.view()(112, 112, 0)}, 20);
  EXPECT_EQ(int{image.view()(87, 87, 0)}, 222) << "the corner of the square";
}

TEST(Render, DrawsEveryCharacterInItsBox) {
  for (const char* text : {"A7Q", "W0"}) {
    for (const auto& [width, height] : {std::pair{448, 448}, {560, 360}}) {
      Scene scene;
      scene.writing = Writing{.text = text, .x = 112, .y = 100, .height = 44, .ink = {0, 0, 0}};
      scene.look.width = width;
      scene.look.height = height;
      const RgbImage image = render(scene);
      const WritingTruth truth = *truth_of(scene).writing;
      for (const CanvasBox& box : truth.characters) {
        const double per_x = width / kCanvas, per_y = height / kCanvas;
        const CanvasBox seen = extent(height, width, [&, w = image.view()](Index y, Index x) {
          const double center = (double(x) + 0.5) / per_x;
          return w(y, x, 0) < 127.5 && center > box[1] - 2 && center < box[3] + 2;
        });
        EXPECT_NEAR(seen[0], box[0] * per_y, 1.5) << text;
        EXPECT_NEAR(seen[1], box[1] * per_x, 1.5) << text;
        EXPECT_NEAR(seen[2], box[2] * per_y, 1.5) << text;
        EXPECT_NEAR(seen[3], box[3] * per_x, 1.5) << text;
      }
    }
  }
}

TEST(Render, ShadesTheBackgroundFromCornerToCorner) {
  Scene scene;
  scene.look.background = {1, 0.9, 0.8};
  scene.look.background_end = {0.8, 0.9, 1};
  const RgbImage image = render(scene);
  EXPECT_EQ(int{image.view()(0, 0, 0)}, 255);
  EXPECT_EQ(int{image.view()(0, 0, 2)}, 204);
  EXPECT_NEAR(image.view()(223, 223, 0), 204, 1);
  EXPECT_NEAR(image.view()(223, 223, 2), 255, 1);
  EXPECT_NEAR(image.view()(0, 223, 0), 229.5, 1.5) << "half way";
  EXPECT_NEAR(image.view()(223, 0, 0), 229.5, 1.5);
  EXPECT_EQ(statistics(image, 1).deviation, 0);
}

TEST(Render, LetsCloudsPassAsFarAsTheyMay) {
  Scene scene = plain(0.5);
  scene.look.clouds = 0.04;
  const RgbImage image = render(scene);
  const auto [low, high] =
      std::minmax_element(image.view().data(), image.view().data() + image.view().count());
  EXPECT_GE(*low, 0.46 * 255 - 1);
  EXPECT_LE(*high, 0.54 * 255 + 1);
  EXPECT_GT(*high - *low, 8);
  for (Index x = 0; x + 1 < 224; ++x) {
    EXPECT_NEAR(image.view()(100, x, 0), image.view()(100, x + 1, 0), 1) << "slow";
  }
}

// Each pixel and its neighbours, across and down, with weights exp(-d^2 / 2 s^2); by the
// definition.
TEST(Render, BlursAcrossAndDown) {
  Scene scene = scene_of(Shape::star, 112, 112, 30, 5);
  const RgbImage sharp = render(scene);
  scene.look.blur = 0.8;
  const RgbImage blurred = render(scene);
  const double side = std::exp(-1 / (2 * 0.8 * 0.8)), weights[3] = {side, 1, side};
  double worst = 0;
  for (Index y = 1; y < 223; ++y) {
    for (Index x = 1; x < 223; ++x) {
      double sum = 0;
      for (Index i = 0; i < 3; ++i) {
        for (Index j = 0; j < 3; ++j) {
          sum += weights[i] * weights[j] * sharp.view()(y + i - 1, x + j - 1, 0);
        }
      }
      const double wanted = sum / ((1 + 2 * side) * (1 + 2 * side));
      worst = std::max(worst, std::abs(wanted - blurred.view()(y, x, 0)));
    }
  }
  EXPECT_LE(worst, 1) << "half a byte of rounding in each picture";
}

TEST(Render, BlursNothingWhereAllIsTheSame) {
  Scene scene = plain(0.5);
  scene.look.blur = 0.9;
  const auto [mean, deviation] = statistics(render(scene), 0);
  EXPECT_EQ(mean, 128);
  EXPECT_EQ(deviation, 0) << "at the edge neither";
}

TEST(Render, RaisesBrightnessToGamma) {
  for (const double gamma : {0.8, 1.0, 1.2}) {
    Scene scene = plain(0.5);
    scene.look.gamma = gamma;
    EXPECT_EQ(int{render(scene).view()(5, 5, 1)}, std::lround(255 * std::pow(0.5, gamma)));
  }
}

TEST(Render, AddsNoiseOfTheDeviationThatIsAskedFor) {
  Scene scene = plain(0.5);
  scene.look.noise = 0.02;
  const RgbImage image = render(scene);
  const double n = 224 * 224;
  for (Index channel = 0; channel < 3; ++channel) {
    const auto [mean, deviation] = statistics(image, channel);
    EXPECT_NEAR(mean, 127.5, 5 * 5.1 / std::sqrt(n));
    EXPECT_NEAR(deviation, 0.02 * 255, 0.1);
  }
  double product = 0;  // of neighbours, and of channels: independent
  for (Index i = 0; i + 1 < image.view().count(); ++i) {
    product += (image.view().data()[i] - 127.5) * (image.view().data()[i + 1] - 127.5);
  }
  EXPECT_NEAR(product / (3 * n) / (5.1 * 5.1), 0, 5 / std::sqrt(3 * n));
}

TEST(Render, AddsTheSameNoiseUnderTheSameSeed) {
  Scene scene = plain(0.5);
  scene.look.noise = 0.02;
  const auto same = [](const RgbImage& a, const RgbImage& b) {
    return std::equal(a.view().data(), a.view().data() + a.view().count(), b.view().data());
  };
  const RgbImage first = render(scene), again = render(scene);
  scene.look.noise_seed = 1;
  const RgbImage other = render(scene);
  EXPECT_TRUE(same(first, again));
  EXPECT_FALSE(same(first, other));
}

TEST(Render, KeepsBytesWithinTheirRange) {
  Scene scene = plain(1);
  scene.look.noise = 0.2;
  scene.look.clouds = 0.04;
  const auto [mean, deviation] = statistics(render(scene), 0);
  EXPECT_GT(mean, 200) << "255 plus something would come round to 0";
  EXPECT_LT(deviation, 40);
}

}  // namespace
}  // namespace paligemma::world
