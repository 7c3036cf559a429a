#include "world/paint.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "world/random.h"

namespace paligemma::world {
namespace {

// ---- distances, in pixels

double square_distance_to_segment(Point p, Point a, Point b) {
  const double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
  const double along = ((p.x - a.x) * dx + (p.y - a.y) * dy) / std::max(length, 1e-12);
  const double within = std::clamp(along, 0.0, 1.0);
  const double x = p.x - a.x - within * dx, y = p.y - a.y - within * dy;
  return x * x + y * y;
}

// Positive inside.
double depth(const std::vector<Point>& polygon, Point p) {
  double nearest = std::numeric_limits<double>::max();
  bool inside = false;
  Point a = polygon.back();
  for (const Point b : polygon) {
    nearest = std::min(nearest, square_distance_to_segment(p, a, b));
    const bool crosses = (a.y > p.y) != (b.y > p.y);
    if (crosses && p.x < a.x + (b.x - a.x) * (p.y - a.y) / (b.y - a.y)) inside = !inside;
    a = b;
  }
  return inside ? std::sqrt(nearest) : -std::sqrt(nearest);
}

double coverage(double inside) { return std::clamp(inside + 0.5, 0.0, 1.0); }

// ---- painting

// Calls visit(y, x, centre of the pixel) for the pixels of a picture of height x width that lie
// within `margin` of the rectangle around `points`.
template <class Visit>
void for_pixels_around(const std::vector<Point>& points, double margin, Index height, Index width,
                       const Visit& visit) {
  Point low = points[0], high = points[0];
  for (const Point& p : points) {
    low = {std::min(low.x, p.x), std::min(low.y, p.y)};
    high = {std::max(high.x, p.x), std::max(high.y, p.y)};
  }
  const auto inside = [](double v, Index size) {
    return static_cast<Index>(std::clamp(v, 0.0, double(size)));
  };
  const Index y_end = inside(high.y + margin + 2, height);
  const Index x_end = inside(high.x + margin + 2, width);
  for (Index y = inside(low.y - margin - 1, height); y < y_end; ++y) {
    for (Index x = inside(low.x - margin - 1, width); x < x_end; ++x) {
      visit(y, x, Point{double(x) + 0.5, double(y) + 0.5});
    }
  }
}

// Blends `color` over the pixels around `points`, each by coverage_at(its centre).
template <class CoverageAt>
void paint(View<double, 3> picture, const std::vector<Point>& points, double margin,
           const Rgb& color, const CoverageAt& coverage_at) {
  for_pixels_around(points, margin, picture.size(0), picture.size(1),
                    [&](Index y, Index x, Point center) {
                      const double alpha = coverage_at(center);
                      for (int c = 0; c < 3; ++c) {
                        picture(y, x, c) += alpha * (color[c] - picture(y, x, c));
                      }
                    });
}

// Along one axis, then the other: each pixel and its two neighbours, with the weights of a normal
// distribution. Pixels at the edge are repeated.
void blur(View<double, 3> picture, double deviation) {
  const double side = std::exp(-1 / (2 * deviation * deviation)), sum = 1 + 2 * side;
  for (int axis = 0; axis < 2; ++axis) {
    const Index step = picture.stride()[axis], lines = picture.size(1 - axis) * 3;
    for (Index line = 0; line < lines; ++line) {
      double* at = picture.data() + (line / 3) * picture.stride()[1 - axis] + line % 3;
      double before = *at;
      for (Index i = 0; i < picture.size(axis); ++i, at += step) {
        const double after = i + 1 < picture.size(axis) ? at[step] : *at, here = *at;
        *at = (here + side * (before + after)) / sum;
        before = here;
      }
    }
  }
}

// Number `i` of a sequence with mean 0 and deviation 1: the sum of two uniform numbers.
double noise(std::uint64_t seed, Index i) {
  const auto block =
      philox({static_cast<std::uint32_t>(seed), 0xA0153}, {static_cast<std::uint32_t>(i), 0, 0, 0});
  return std::sqrt(6.0) * ((block[0] + double(block[1])) * 0x1p-32 - 1);
}

}  // namespace

Paint paint_background(const Look& look) {
  Paint paint({look.height, look.width, 3}, unwritten);
  const View<double, 3> picture = paint.view();
  Random random(look.noise_seed ^ 0xC10D5);
  const double phase_x = random.between(0, 6), phase_y = random.between(0, 6);
  const double pace_x = random.between(0.01, 0.05), pace_y = random.between(0.01, 0.05);
  for (Index y = 0; y < picture.size(0); ++y) {
    for (Index x = 0; x < picture.size(1); ++x) {
      const double down = (double(y) / look.height + double(x) / look.width) / 2;
      const double cloud = look.clouds == 0 ? 0
                                            : look.clouds * std::sin(pace_x * double(x) + phase_x) *
                                                  std::sin(pace_y * double(y) + phase_y);
      for (int c = 0; c < 3; ++c) {
        picture(y, x, c) =
            look.background[c] + down * (look.background_end[c] - look.background[c]) + cloud;
      }
    }
  }
  return paint;
}

void paint_polygon(View<double, 3> picture, const std::vector<Point>& polygon, double inset,
                   const Rgb& color) {
  paint(picture, polygon, 0, color, [&](Point p) { return coverage(depth(polygon, p) - inset); });
}

void paint_strokes(View<double, 3> picture, const std::vector<Stroke>& strokes, double pen,
                   const Rgb& ink) {
  std::vector<Point> all;
  for (const Stroke& stroke : strokes) all.insert(all.end(), stroke.begin(), stroke.end());
  paint(picture, all, pen, ink, [&](Point p) {
    double nearest = std::numeric_limits<double>::max();
    for (const Stroke& stroke : strokes) {
      for (std::size_t k = 0; k + 1 < stroke.size(); ++k) {
        nearest = std::min(nearest, square_distance_to_segment(p, stroke[k], stroke[k + 1]));
      }
    }
    return coverage(pen - std::sqrt(nearest));
  });
}

RgbImage photograph(Paint picture, const Look& look) {
  if (look.blur > 0) blur(picture.view(), look.blur);
  RgbImage image({look.height, look.width, 3}, unwritten);
  const Index count = picture.view().count();
  for (Index i = 0; i < count; ++i) {
    double value = std::clamp(picture.view().data()[i], 0.0, 1.0);
    if (look.gamma != 1) value = std::pow(value, look.gamma);
    if (look.noise > 0) value += look.noise * noise(look.noise_seed, i);
    image.view().data()[i] = static_cast<std::uint8_t>(255 * std::clamp(value, 0.0, 1.0) + 0.5);
  }
  return image;
}

Buffer<std::uint8_t, 2> mask_of(const std::vector<Point>& polygon, Index height, Index width) {
  Buffer<std::uint8_t, 2> mask({height, width});
  for_pixels_around(polygon, 0, height, width, [&](Index y, Index x, Point center) {
    mask.view()(y, x) = depth(polygon, center) > 0 ? 255 : 0;
  });
  return mask;
}

}  // namespace paligemma::world
