#include "processing/resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/buffer.h"

namespace paligemma {
namespace {

constexpr int kFractionBits = 32 - 8 - 2;  // room for 8 bits of pixel, a sign and an overshoot

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

}  // namespace

std::vector<Window> windows(Index in, Index out, ResampleFilter filter) {
  const bool bicubic = filter == ResampleFilter::bicubic;
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0);
  const double support = (bicubic ? 2.0 : 1.0) * stretch;

  std::vector<Window> result;
  for (Index o = 0; o < out; ++o) {
    const double center = (static_cast<double>(o) + 0.5) * scale;
    const auto first = std::max(Index{0}, static_cast<Index>(center - support + 0.5));
    const auto last = std::min(in, static_cast<Index>(center + support + 0.5));

    // Weigh each pixel by its distance from the center, then make the weights sum to one.
    std::vector<double> weights;
    double sum = 0;
    for (Index i = first; i < last; ++i) {
      const double distance = (static_cast<double>(i) - center + 0.5) * (1.0 / stretch);
      weights.push_back(bicubic ? cubic(distance) : triangle(distance));
      sum += weights.back();
    }

    for (double& weight : weights) {
      if (sum != 0) weight /= sum;
    }
    result.push_back({first, std::move(weights)});
  }
  return result;
}

namespace {

struct FixedWindow {
  Index first;
  std::vector<std::int32_t> weights;  // in units of 2^-22
};

// Round to fixed point, halves away from zero.
std::vector<FixedWindow> fixed_windows(Index in, Index out, ResampleFilter filter) {
  std::vector<FixedWindow> result;
  for (const Window& window : windows(in, out, filter)) {
    FixedWindow& rounded = result.emplace_back(FixedWindow{window.first, {}});
    for (double weight : window.weights) {
      const double fixed = weight * (1 << kFractionBits);
      rounded.weights.push_back(static_cast<std::int32_t>(fixed < 0 ? fixed - 0.5 : fixed + 0.5));
    }
  }
  return result;
}

// The weighted sum of `window` over pixels that are `step` bytes apart, rounded and clamped.
std::uint8_t blend(const std::uint8_t* pixels, Index step, const FixedWindow& window) {
  std::int32_t sum = 1 << (kFractionBits - 1);
  pixels += window.first * step;
  for (std::int32_t weight : window.weights) {
    sum += *pixels * weight;
    pixels += step;
  }
  return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

void resize_rows(View<const std::uint8_t, 3> x, ResampleFilter filter, View<std::uint8_t, 3> y) {
  const auto of_pixel = fixed_windows(x.size(1), y.size(1), filter);
  for (Index r = 0; r < y.size(0); ++r) {
    for (Index q = 0; q < y.size(1); ++q) {
      for (Index c = 0; c < 3; ++c) y(r, q, c) = blend(&x(r, 0, c), 3, of_pixel[q]);
    }
  }
}

void resize_columns(View<const std::uint8_t, 3> x, ResampleFilter filter, View<std::uint8_t, 3> y) {
  const auto of_row = fixed_windows(x.size(0), y.size(0), filter);
  for (Index r = 0; r < y.size(0); ++r) {
    for (Index q = 0; q < y.size(1); ++q) {
      for (Index c = 0; c < 3; ++c) y(r, q, c) = blend(&x(0, q, c), 3 * x.size(1), of_row[r]);
    }
  }
}

}  // namespace

void resize(View<const std::uint8_t, 3> x, ResampleFilter filter, View<std::uint8_t, 3> y) {
  PG_CHECK(x.count() > 0 && y.count() > 0 && x.size(2) == 3 && y.size(2) == 3,
           "x " + shape_text(x) + ", y " + shape_text(y));
  PG_CHECK(x.is_row_major() && y.is_row_major(), "rows must be contiguous");
  const Index H = x.size(0), W = x.size(1), H2 = y.size(0), W2 = y.size(1);

  // A pass that changes nothing is left out. Rows come first, unless the picture loses more than
  // twice as many pixels of height as of width: Pillow saves work so since release 13.
  if (H == H2 && W == W2) {
    std::copy_n(x.data(), x.count(), y.data());
  } else if (H == H2) {
    resize_rows(x, filter, y);
  } else if (W == W2) {
    resize_columns(x, filter, y);
  } else if (H > H2 && H - H2 > 2 * (W - W2)) {
    Buffer<std::uint8_t, 3> shortened({H2, W, 3}, unwritten);
    resize_columns(x, filter, shortened.view());
    resize_rows(shortened.view(), filter, y);
  } else {
    Buffer<std::uint8_t, 3> squeezed({H, W2, 3}, unwritten);
    resize_rows(x, filter, squeezed.view());
    resize_columns(squeezed.view(), filter, y);
  }
}

namespace {

// The two pixels that an output lies between, and how far it is from the first.
struct Between {
  Index first, second;
  float share;
};

std::vector<Between> betweens(Index in, Index out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  std::vector<Between> result;
  for (Index o = 0; o < out; ++o) {
    const double at = std::max(0.0, (static_cast<double>(o) + 0.5) * scale - 0.5);
    const auto first = std::min(in - 1, static_cast<Index>(at));
    result.push_back(
        {first, std::min(in - 1, first + 1), static_cast<float>(at - static_cast<double>(first))});
  }
  return result;
}

float mix(float first, float second, float share) { return first + share * (second - first); }

}  // namespace

void sample(View<const std::uint8_t, 3> x, View<float, 3> y) {
  PG_CHECK(x.count() > 0 && y.count() > 0 && x.size(2) == 3 && y.size(2) == 3,
           "x " + shape_text(x) + ", y " + shape_text(y));
  const auto rows = betweens(x.size(0), y.size(0)), columns = betweens(x.size(1), y.size(1));
  for (Index r = 0; r < y.size(0); ++r) {
    for (Index q = 0; q < y.size(1); ++q) {
      const auto [top, bottom, down] = rows[r];
      const auto [left, right, across] = columns[q];
      for (Index c = 0; c < 3; ++c) {
        y(r, q, c) = mix(mix(x(top, left, c), x(top, right, c), across),
                         mix(x(bottom, left, c), x(bottom, right, c), across), down);
      }
    }
  }
}

View<const std::uint8_t, 3> middle_square(View<const std::uint8_t, 3> x) {
  const Index side = std::min(x.size(0), x.size(1));
  const Index top = (x.size(0) - side) / 2, left = (x.size(1) - side) / 2;
  return {&x(top, left, 0), {side, side, 3}, x.stride()};
}

}  // namespace paligemma
