#include "world/geometry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace paligemma::world {
namespace {

constexpr double kPi = std::numbers::pi;

Scene scene_of(Shape shape, double radius, double angle, double form, int width, int height) {
  Object object = {};
  object.shape = shape;
  object.color = Color::blue;
  object.x = 110;
  object.y = 115;
  object.radius = radius;
  object.angle = angle;
  object.form = form;
  Scene scene;
  scene.objects = {object};
  scene.look.width = width;
  scene.look.height = height;
  return scene;
}

std::vector<Point> corners(Shape shape, double radius, double angle, double form) {
  const Scene scene = scene_of(shape, radius, angle, form, 224, 224);
  return outline(scene.objects[0], Scale(scene.look));
}

double area(const std::vector<Point>& polygon) {
  double twice = 0;
  for (std::size_t i = 0; i < polygon.size(); ++i) {
    const Point &a = polygon[i], &b = polygon[(i + 1) % polygon.size()];
    twice += a.x * b.y - a.y * b.x;
  }
  return std::abs(twice) / 2;
}

void expect_box(const CanvasBox& box, const CanvasBox& wanted) {
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(box[i], wanted[i], 1e-9) << "side " << i;
}

CanvasBox box_of(const Scene& scene) { return truth_of(scene).things.at(0).box; }

TEST(Geometry, GivesBoxesAsYMinXMinYMaxXMax) {
  expect_box(box_of(scene_of(Shape::circle, 30, 0, 0.5, 224, 224)), {85, 80, 145, 140});
  expect_box(box_of(scene_of(Shape::square, 30, 0, 0.5, 224, 224)), {88, 83, 142, 137});
  expect_box(box_of(scene_of(Shape::triangle, 30, 0, 0, 224, 224)), {85, 83.9, 130, 136.1});
  expect_box(box_of(scene_of(Shape::triangle, 30, 0, 1, 224, 224)), {85, 80.9, 142, 139.1});
  expect_box(box_of(scene_of(Shape::cross, 20, 0, 0.5, 224, 224)), {96, 91, 134, 129});
}

// 448 x 112 pixels: a unit of the canvas is 2 pixels across and half a pixel down. A circle of
// radius 30 is drawn round, 30 pixels, and so is 15 units wide and 60 high either way.
TEST(Geometry, SquashesOnTheCanvasWhatIsRoundInThePicture) {
  const Scene scene = scene_of(Shape::circle, 30, 0, 0.5, 448, 112);
  const Scale scale(scene.look);
  EXPECT_EQ(scale.x, 2);
  EXPECT_EQ(scale.y, 0.5);
  EXPECT_EQ(scale.even, 1);
  expect_box(box_of(scene), {55, 95, 175, 125});
  for (const Point& p : to_picture(outline(scene.objects[0], scale), scale)) {
    EXPECT_NEAR(std::hypot(p.x - 220, p.y - 57.5), 30, 1e-9);
  }
}

TEST(Geometry, MakesThingsLargerInLargerPictures) {
  const Scene scene = scene_of(Shape::circle, 30, 0, 0.5, 448, 448);
  const Scale scale(scene.look);
  expect_box(box_of(scene), {85, 80, 145, 140});
  for (const Point& p : to_picture(outline(scene.objects[0], scale), scale)) {
    EXPECT_NEAR(std::hypot(p.x - 220, p.y - 230), 60, 1e-9);
  }
}

TEST(Geometry, TurnsClockwise) {
  const auto upright = corners(Shape::triangle, 30, 0, 0.5);
  EXPECT_NEAR(upright[0].x, 110, 1e-9);
  EXPECT_NEAR(upright[0].y, 85, 1e-9) << "points up";
  const auto turned = corners(Shape::triangle, 30, 90, 0.5);
  EXPECT_NEAR(turned[0].x, 140, 1e-9) << "points right";
  EXPECT_NEAR(turned[0].y, 115, 1e-9);
}

TEST(Geometry, CoversTheAreasOfTheFormulas) {
  const double r = 30;
  for (const double angle : {0.0, 10.0, 45.0}) {
    EXPECT_NEAR(area(corners(Shape::circle, r, angle, 0.5)), kPi * r * r, 0.003 * kPi * r * r);
    EXPECT_NEAR(area(corners(Shape::square, r, angle, 0.5)), 1.8 * r * 1.8 * r, 1e-9);
    for (const double form : {0.0, 0.3, 1.0}) {
      const double height = 1 + 0.5 + 0.4 * form, half_base = 0.87 + 0.1 * form;
      EXPECT_NEAR(area(corners(Shape::triangle, r, angle, form)), half_base * height * r * r, 1e-9);
      // Ten triangles between the centre, a point and a notch.
      const double notch = 0.38 + 0.12 * form;
      EXPECT_NEAR(area(corners(Shape::star, r, angle, form)),
                  10 * r * notch * r * std::sin(kPi / 5) / 2, 1e-9);
      const double arm = 0.24 + 0.14 * form;  // two bars, and their crossing counted once
      EXPECT_NEAR(area(corners(Shape::cross, r, angle, form)),
                  (2 * 1.9 * 2 * arm - 4 * arm * arm) * r * r, 1e-9);
    }
  }
}

// x = 16 sin^3 t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t, the well-known curve.
TEST(Geometry, MakesHeartsThatAreTheSameOnBothSides) {
  const auto heart = corners(Shape::heart, 33, 0, 0.5);  // 2 units for one of the curve
  for (std::size_t i = 1; i < heart.size(); ++i) {
    EXPECT_NEAR(heart[i].x - 110, 110 - heart[heart.size() - i].x, 1e-9);
    EXPECT_NEAR(heart[i].y, heart[heart.size() - i].y, 1e-9);
  }
  double top = 0;
  for (double t = 0; t < 2; t += 0.001) {
    top = std::max(top,
                   13 * std::cos(t) - 5 * std::cos(2 * t) - 2 * std::cos(3 * t) - std::cos(4 * t));
  }
  const CanvasBox box = box_of(scene_of(Shape::heart, 33, 0, 0.5, 224, 224));
  EXPECT_NEAR(box[0], 115 - 2 * (top + 2.5), 0.1) << "a polygon of forty corners";
  EXPECT_NEAR(box[2], 115 + 2 * (17 - 2.5), 1e-9);
  EXPECT_NEAR(box[1], 110 - 2 * 16, 1e-9);
  EXPECT_NEAR(box[3], 110 + 2 * 16, 1e-9);
}

// A shape may reach beyond its radius by what a turned corner sticks out, and no more.
TEST(Geometry, KeepsShapesWithinTheirRadius) {
  for (int shape = 0; shape < kShapes; ++shape) {
    for (const double form : {0.0, 0.5, 1.0}) {
      for (const Point& p : corners(Shape{shape}, 1, 0, form)) {
        EXPECT_LE(std::abs(p.x - 110), 1 + 1e-9);
        EXPECT_LE(std::abs(p.y - 115), 1 + 1e-9);
      }
    }
  }
}

TEST(Geometry, CutsBoxesAtTheEdgeOfTheCanvas) {
  Scene scene = scene_of(Shape::circle, 30, 0, 0.5, 224, 224);
  scene.objects[0].x = 10;
  scene.objects[0].y = 220;
  expect_box(box_of(scene), {190, 0, 224, 40});
  scene.objects[0].x = 220;
  scene.objects[0].y = 10;
  expect_box(box_of(scene), {0, 190, 40, 224});
}

TEST(Geometry, TellsTheTruthInTheOrderOfTheScene) {
  Scene scene = scene_of(Shape::star, 30, 0, 0.5, 224, 224);
  scene.objects.push_back(scene.objects[0]);
  scene.objects[1].color = Color::pink;
  scene.objects[1].x = 20;
  const Truth truth = truth_of(scene);
  ASSERT_EQ(truth.things.size(), 2u);
  EXPECT_EQ(truth.things[0].color, Color::blue);
  EXPECT_EQ(truth.things[1].color, Color::pink);
  EXPECT_EQ(truth.things[1].shape, Shape::star);
  EXPECT_FALSE(truth.writing);
}

// Three letters 40 high and 20 wide, 12 apart, in a pen 4 wide: 3 x 20 + 2 x 12 = 84 and the pen.
TEST(Geometry, SetsTextAboutItsCentre) {
  Scene scene;
  scene.writing = Writing{
      .text = "HHH", .x = 100, .y = 60, .height = 40, .width = 0.5, .stroke = 0.1, .slant = 0};
  const Truth truth = truth_of(scene);
  ASSERT_TRUE(truth.writing);
  EXPECT_EQ(truth.writing->text, "HHH");
  expect_box(truth.writing->box, {38, 56, 82, 144});
  ASSERT_EQ(truth.writing->characters.size(), 3u);
  expect_box(truth.writing->characters[0], {38, 56, 82, 80});
  expect_box(truth.writing->characters[1], {38, 88, 82, 112});
  expect_box(truth.writing->characters[2], {38, 120, 82, 144});
}

TEST(Geometry, SlantsTextAtTheTopToTheRight) {
  Scene scene;
  scene.writing = Writing{
      .text = "I", .x = 100, .y = 60, .height = 40, .width = 0.5, .stroke = 0, .slant = 0.2};
  const auto drawn = strokes(*scene.writing, 0, Scale(scene.look));
  ASSERT_EQ(drawn.size(), 3u);  // two bars and the stem
  EXPECT_NEAR(drawn[1].front().x, 104, 1e-9);
  EXPECT_NEAR(drawn[1].front().y, 40, 1e-9);
  EXPECT_NEAR(drawn[1].back().x, 96, 1e-9);
  EXPECT_NEAR(drawn[1].back().y, 80, 1e-9);
}

TEST(Geometry, SquashesTextAsItDoesShapes) {
  Scene scene;
  scene.look.width = 448;
  scene.look.height = 112;
  scene.writing = Writing{
      .text = "H", .x = 100, .y = 112, .height = 40, .width = 0.5, .stroke = 0.1, .slant = 0};
  expect_box(truth_of(scene).writing->box, {112 - 40 - 4, 94, 112 + 40 + 4, 106});
}

TEST(Geometry, KeepsTheThingsOfRandomScenesApart) {
  for (std::uint64_t number = 0; number < 200; ++number) {
    const Truth truth = truth_of(random_scene(Split::train, number));
    std::vector<CanvasBox> boxes;
    for (const Thing& thing : truth.things) boxes.push_back(thing.box);
    if (truth.writing) boxes.push_back(truth.writing->box);
    for (std::size_t i = 0; i < boxes.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const CanvasBox &a = boxes[i], &b = boxes[j];
        EXPECT_TRUE(a[2] < b[0] || b[2] < a[0] || a[3] < b[1] || b[3] < a[1]) << number;
      }
    }
  }
}

}  // namespace
}  // namespace paligemma::world
