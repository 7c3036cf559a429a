// Geometry: where the things of a scene lie, and so the truth about it.
//
// Every shape is a polygon, every letter a few strokes. A scene whose picture is not square is
// drawn undistorted in the picture; on the canvas, where places and boxes are counted, it is
// squashed, as it is for the model.
//
// Read next: world/render.h, world/questions.h.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "world/glyphs.h"
#include "world/scene.h"

namespace paligemma::world {

// Pixels of the picture in a unit of the canvas.
struct Scale {
  explicit Scale(const Look& look);
  double x, y, even;  // even: of lengths that are to be the same in all directions
};

std::vector<Point> to_picture(std::vector<Point> points, const Scale& scale);

// The outline of an object, on the canvas.
std::vector<Point> outline(const Object& object, const Scale& scale);

// The strokes of character `i` of a text, on the canvas.
std::vector<Stroke> strokes(const Writing& writing, std::size_t i, const Scale& scale);

using CanvasBox = std::array<double, 4>;  // y min, x min, y max, x max, 0 to 224

// What can be said about a picture without looking at how it was drawn.
struct Thing {
  Color color;
  Shape shape;
  CanvasBox box;
};

struct WritingTruth {
  std::string text;
  CanvasBox box;
  std::vector<CanvasBox> characters;
};

struct Truth {
  std::vector<Thing> things;  // in the order of the scene's objects
  std::optional<WritingTruth> writing;
};

Truth truth_of(const Scene& scene);

}  // namespace paligemma::world
