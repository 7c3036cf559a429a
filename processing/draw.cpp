#include "processing/draw.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

// stb_easy_font.h defines static functions that are not all used here.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_easy_font.h>
#pragma GCC diagnostic pop

namespace paligemma {
namespace {

using Color = std::array<std::uint8_t, 3>;

// The colours of the published demonstrations.
constexpr std::array<Color, 5> kColors{{{0x42, 0x85, 0xf4},
                                        {0xdb, 0x44, 0x37},
                                        {0xf4, 0xb4, 0x00},
                                        {0x0f, 0x9d, 0x58},
                                        {0xe4, 0x8e, 0xf1}}};
constexpr Color kWhite{255, 255, 255};

struct Rectangle {  // pixels left <= x < right, top <= y < bottom
  Index left, top, right, bottom;
};

void fill(View<std::uint8_t, 3> image, Rectangle r, Color color) {
  for (Index y = std::max(Index{0}, r.top); y < std::min(image.size(0), r.bottom); ++y) {
    for (Index x = std::max(Index{0}, r.left); x < std::min(image.size(1), r.right); ++x) {
      for (Index c = 0; c < 3; ++c) image(y, x, c) = color[c];
    }
  }
}

void outline(View<std::uint8_t, 3> image, Rectangle r, Index width, Color color) {
  fill(image, {r.left, r.top, r.right, r.top + width}, color);
  fill(image, {r.left, r.bottom - width, r.right, r.bottom}, color);
  fill(image, {r.left, r.top, r.left + width, r.bottom}, color);
  fill(image, {r.right - width, r.top, r.right, r.bottom}, color);
}

// Half picture, half colour, where the mask is.
void tint(View<std::uint8_t, 3> image, View<const std::uint8_t, 2> mask, Color color) {
  PG_CHECK(mask.size(0) == image.size(0) && mask.size(1) == image.size(1),
           "image " + shape_text(image) + ", mask " + shape_text(mask));
  for (Index y = 0; y < image.size(0); ++y) {
    for (Index x = 0; x < image.size(1); ++x) {
      if (mask(y, x) == 0) continue;
      for (Index c = 0; c < 3; ++c) {
        image(y, x, c) = static_cast<std::uint8_t>((image(y, x, c) + color[c] + 1) / 2);
      }
    }
  }
}

// White letters on the colour of the box, `scale` pixels to a dot.
void label(View<std::uint8_t, 3> image, Index left, Index top, std::string text, Index scale,
           Color color) {
  constexpr std::size_t kMaxLetters = 60;
  text.resize(std::min(text.size(), kMaxLetters));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  const Index width = stb_easy_font_width(text.data()) + 3, height = 11;
  fill(image, {left, top, left + width * scale, top + height * scale}, color);

  // The font's answer is a list of quads: four corners of x, y, z and a colour.
  struct Corner {
    float x, y, z;
    unsigned char rgba[4];
  };
  std::vector<Corner> corners(text.size() * 80 + 4);
  const int quads = stb_easy_font_print(2, 2, text.data(), nullptr, corners.data(),
                                        static_cast<int>(corners.size() * sizeof(Corner)));
  for (int i = 0; i < quads; ++i) {
    const Corner &from = corners[4 * i], &to = corners[4 * i + 2];
    const auto at = [&](float dots) { return static_cast<Index>(dots) * scale; };
    fill(image, {left + at(from.x), top + at(from.y), left + at(to.x), top + at(to.y)}, kWhite);
  }
}

}  // namespace

RgbImage draw_detections(View<const std::uint8_t, 3> image,
                         const std::vector<Detection>& detections,
                         const std::vector<std::optional<Mask>>& masks) {
  PG_CHECK(image.size(2) == 3 && image.is_row_major(), "image " + shape_text(image));
  PG_CHECK(masks.empty() || masks.size() == detections.size(), "one mask for each object");
  const Index H = image.size(0), W = image.size(1);
  RgbImage copy({H, W, 3}, unwritten);
  std::copy_n(image.data(), image.count(), copy.view().data());

  // All masks first, so that none lies on a line or a letter.
  const auto color_of = [](std::size_t object) { return kColors[object % kColors.size()]; };
  for (std::size_t i = 0; i < masks.size(); ++i) {
    if (masks[i]) tint(copy.view(), masks[i]->view(), color_of(i));
  }
  const Index line = std::max(Index{2}, std::min(H, W) / 150);
  const Index scale = std::max(Index{1}, std::min(H, W) / 300);
  for (std::size_t i = 0; i < detections.size(); ++i) {
    const Color color = color_of(i);
    const Box box = pixel_box(detections[i], static_cast<int>(W), static_cast<int>(H));
    const auto pixel = [](double at) { return static_cast<Index>(std::lround(at)); };
    const Rectangle r{pixel(box.x_min), pixel(box.y_min), pixel(box.x_max), pixel(box.y_max)};
    outline(copy.view(), r, line, color);
    if (!detections[i].label.empty()) {
      label(copy.view(), r.left, r.top, detections[i].label, scale, color);
    }
  }
  return copy;
}

}  // namespace paligemma
