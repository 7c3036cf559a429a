#include "world/render.h"

#include "world/paint.h"

namespace paligemma::world {
namespace {

void paint_object(View<double, 3> picture, const Object& object, const Look& look) {
  const Scale scale(look);
  const auto polygon = to_picture(outline(object, scale), scale);
  const bool bordered = object.border > 0;
  Rgb edge = object.fill;
  if (bordered) {
    for (double& channel : edge) channel *= 0.6;
  }
  paint_polygon(picture, polygon, 0, edge);
  if (bordered) paint_polygon(picture, polygon, object.border, object.fill);
}

void paint_writing(View<double, 3> picture, const Writing& writing, const Look& look) {
  const Scale scale(look);
  const double pen = writing.stroke * writing.height * scale.even / 2;
  for (std::size_t i = 0; i < writing.text.size(); ++i) {
    std::vector<Stroke> drawn = strokes(writing, i, scale);
    for (Stroke& stroke : drawn) stroke = to_picture(stroke, scale);
    paint_strokes(picture, drawn, pen, writing.ink);
  }
}

}  // namespace

RgbImage render(const Scene& scene) {
  const Look& look = scene.look;
  Paint picture = paint_background(look);
  for (const Object& object : scene.objects) paint_object(picture.view(), object, look);
  if (scene.writing) paint_writing(picture.view(), *scene.writing, look);
  return photograph(std::move(picture), look);
}

Buffer<std::uint8_t, 2> render_mask(const Scene& scene, std::size_t index) {
  const Scale scale(scene.look);
  return mask_of(to_picture(outline(scene.objects[index], scale), scale), scene.look.height,
                 scene.look.width);
}

}  // namespace paligemma::world
