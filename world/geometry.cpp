#include "world/geometry.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace paligemma::world {
namespace {

constexpr double kPi = std::numbers::pi;

// ---- shapes, upright, within one unit of the centre, y downwards

std::vector<Point> round_the_centre(int corners, double first_radius, double second_radius) {
  std::vector<Point> points;
  for (int i = 0; i < corners; ++i) {
    const double angle = 2 * kPi * i / corners, radius = i % 2 == 0 ? first_radius : second_radius;
    points.push_back({radius * std::sin(angle), -radius * std::cos(angle)});
  }
  return points;
}

std::vector<Point> unit_heart() {
  std::vector<Point> points;
  for (int i = 0; i < 40; ++i) {
    const double t = 2 * kPi * i / 40, s = std::sin(t);
    points.push_back({16 * s * s * s / 16.5, -(13 * std::cos(t) - 5 * std::cos(2 * t) -
                                               2 * std::cos(3 * t) - std::cos(4 * t) + 2.5) /
                                                 16.5});
  }
  return points;
}

std::vector<Point> unit_shape(Shape shape, double form) {
  switch (shape) {
    case Shape::circle:
      return round_the_centre(48, 1, 1);
    case Shape::square: {
      const double a = 0.9;
      return {{-a, -a}, {a, -a}, {a, a}, {-a, a}};
    }
    case Shape::triangle: {
      const double low = 0.5 + 0.4 * form, half = 0.87 + 0.1 * form;
      return {{0, -1}, {half, low}, {-half, low}};
    }
    case Shape::star:
      return round_the_centre(10, 1, 0.38 + 0.12 * form);
    case Shape::heart:
      return unit_heart();
    case Shape::cross: {
      const double a = 0.95, b = 0.24 + 0.14 * form;
      return {{-b, -a}, {b, -a}, {b, -b}, {a, -b}, {a, b},   {b, b},
              {b, a},   {-b, a}, {-b, b}, {-a, b}, {-a, -b}, {-b, -b}};
    }
  }
  return {};
}

CanvasBox box_around(const std::vector<Point>& points, double margin_x, double margin_y) {
  CanvasBox box = {kCanvas, kCanvas, 0, 0};
  for (const Point& p : points) {
    box[0] = std::clamp(p.y - margin_y, 0.0, box[0]);
    box[1] = std::clamp(p.x - margin_x, 0.0, box[1]);
    box[2] = std::clamp(p.y + margin_y, box[2], kCanvas);
    box[3] = std::clamp(p.x + margin_x, box[3], kCanvas);
  }
  return box;
}

}  // namespace

Scale::Scale(const Look& look)
    : x(look.width / kCanvas), y(look.height / kCanvas), even(std::sqrt(x * y)) {}

std::vector<Point> to_picture(std::vector<Point> points, const Scale& scale) {
  for (Point& p : points) p = {p.x * scale.x, p.y * scale.y};
  return points;
}

std::vector<Point> outline(const Object& object, const Scale& scale) {
  const double turn = object.angle * kPi / 180, c = std::cos(turn), s = std::sin(turn);
  const double x = object.radius * scale.even / scale.x, y = object.radius * scale.even / scale.y;
  std::vector<Point> points = unit_shape(object.shape, object.form);
  for (Point& p : points) {
    p = {object.x + x * (c * p.x - s * p.y), object.y + y * (s * p.x + c * p.y)};
  }
  return points;
}

std::vector<Stroke> strokes(const Writing& writing, std::size_t i, const Scale& scale) {
  const double advance = writing.width + kLetterGap;
  std::vector<Stroke> drawn = glyph(writing.text[i]);
  for (Stroke& stroke : drawn) {
    for (Point& p : stroke) {
      const double x = p.x * writing.width + advance * double(i) -
                       (advance * double(writing.text.size()) - kLetterGap) / 2 +
                       writing.slant * (0.5 - p.y);
      p = {writing.x + x * writing.height * scale.even / scale.x,
           writing.y + (p.y - 0.5) * writing.height * scale.even / scale.y};
    }
  }
  return drawn;
}

Truth truth_of(const Scene& scene) {
  const Scale scale(scene.look);
  Truth truth;
  for (const Object& object : scene.objects) {
    truth.things.push_back({object.color, object.shape, box_around(outline(object, scale), 0, 0)});
  }
  if (!scene.writing) return truth;
  const double pen = scene.writing->stroke * scene.writing->height / 2 * scale.even;
  WritingTruth writing = {.text = scene.writing->text, .box = {}, .characters = {}};
  std::vector<Point> all;
  for (std::size_t i = 0; i < writing.text.size(); ++i) {
    std::vector<Point> points;
    for (const Stroke& stroke : strokes(*scene.writing, i, scale)) {
      points.insert(points.end(), stroke.begin(), stroke.end());
    }
    writing.characters.push_back(box_around(points, pen / scale.x, pen / scale.y));
    all.insert(all.end(), points.begin(), points.end());
  }
  writing.box = box_around(all, pen / scale.x, pen / scale.y);
  truth.writing = writing;
  return truth;
}

}  // namespace paligemma::world
