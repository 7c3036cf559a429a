// Scene: what a picture of the tiny world holds, and scenes by chance.
//
// The canvas is the square that the model sees, 224 units a side, whatever the picture's size. Up
// to three objects lie on it, each of one shape and one colour, and perhaps a short text.
// Everything about random_scene(Split::test, 17) follows from its arguments.
//
// After CLEVR (Johnson et al. 2016, arXiv 1612.06890) and its CoGenT split: four pairs of colour
// and shape appear in no training scene (held_out), to see whether red and heart make a red heart.
//
// Read next: world/render.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace paligemma::world {

inline constexpr double kCanvas = 224;

enum class Shape { circle, square, triangle, star, heart, cross };
enum class Color { red, orange, yellow, green, blue, purple, pink, black };
inline constexpr int kShapes = 6, kColors = 8;

std::string_view name_of(Shape shape);
std::string_view name_of(Color color);
std::optional<Shape> shape_named(std::string_view name);
std::optional<Color> color_named(std::string_view name);
std::string plural_of(Shape shape);

bool held_out(Color color, Shape shape);

using Rgb = std::array<double, 3>;  // 0 to 1

struct Object {
  Shape shape;
  Color color;
  double x, y, radius;  // of the centre, and how far the shape reaches, in units of the canvas
  double angle = 0;     // degrees, clockwise
  double form = 0.5;    // 0 to 1: how pointed a star, how thick a cross, how high a triangle
  Rgb fill;             // its own red, somewhere among the reds
  double border = 0;    // pixels of a darker edge
};

inline constexpr double kLetterGap = 0.3;  // as a share of the height

struct Writing {
  std::string text;                               // letters A to Z and digits
  double x, y;                                    // of the centre
  double height;                                  // of a capital, in units of the canvas
  double width = 0.62, stroke = 0.13, slant = 0;  // as shares of the height
  Rgb ink = {0.1, 0.1, 0.1};
};

// How the picture is drawn, apart from what is on it.
struct Look {
  int width = 224, height = 224;          // of the picture, in pixels
  Rgb background = {1, 1, 1};             // at its upper left corner
  Rgb background_end = {1, 1, 1};         // at its lower right corner
  double clouds = 0;                      // amplitude of slow waves over the background
  double gamma = 1, blur = 0, noise = 0;  // blur and noise: standard deviations
  std::uint64_t noise_seed = 0;
};

struct Scene {
  std::vector<Object> objects;
  std::optional<Writing> writing;
  Look look;
};

enum class Split { train, validation, test, held_out };

// Throws std::invalid_argument for a name that is none of train, val, test and held-out.
Split split_named(std::string_view name);

// The seed of scene `index` of a split; no two splits share one.
std::uint64_t scene_seed(Split split, std::uint64_t index);

// Scenes of Split::held_out hold an object of a held-out pair; the others hold none.
// `writing_share` is the share of scenes that are to have a text.
Scene random_scene(Split split, std::uint64_t index, double writing_share = 0.25);

// A colour as people paint it when they say its name.
Rgb typical(Color color);

}  // namespace paligemma::world
