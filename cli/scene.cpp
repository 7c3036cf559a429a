// Draws a scene of the tiny world, described in words or by chance, and tells the truth about it.
#include <cmath>

#include "cli/commands.h"
#include "cli/objects.h"
#include "cli/outputs.h"
#include "world/curriculum.h"
#include "world/description.h"
#include "world/render.h"

namespace paligemma::cli {
namespace {

using namespace paligemma::world;

Json xyxy(const CanvasBox& box) {
  const auto rounded = [](double v) { return std::round(v * 100) / 100; };
  return array({rounded(box[1]), rounded(box[0]), rounded(box[3]), rounded(box[2])});
}

// As descriptions have it: halfway between the sizes that the words stand for.
std::string size_word(double radius) {
  if (radius < (kSmall + kMedium) / 2) return "small";
  return radius < (kMedium + kLarge) / 2 ? "medium" : "large";
}

Json truth_json(const Scene& scene, bool masks) {
  const Truth truth = truth_of(scene);
  std::vector<Json> objects;
  for (std::size_t i = 0; i < scene.objects.size(); ++i) {
    const Object& o = scene.objects[i];
    std::vector<Field> fields{{"color", name_of(o.color)},
                              {"shape", name_of(o.shape)},
                              {"size", size_word(o.radius)},
                              {"radius", std::round(o.radius * 100) / 100},
                              {"box_xyxy", xyxy(truth.things[i].box)}};
    if (masks) fields.push_back({"mask_png_base64", png_base64(render_mask(scene, i).view())});
    objects.push_back(object(fields));
  }
  Json text;
  if (truth.writing) {
    text = object({{"text", truth.writing->text}, {"box_xyxy", xyxy(truth.writing->box)}});
  }
  return object({{"canvas", array({kCanvas, kCanvas})},
                 {"width", scene.look.width},
                 {"height", scene.look.height},
                 {"objects", array(objects)},
                 {"text", text}});
}

}  // namespace

int run_scene(const Options& options) {
  if (options.split == "other") throw UsageError("--split other: its pictures lie in world/other");
  std::optional<Scene> scene;
  try {
    scene = options.description ? parse_scene(*options.description)
                                : random_scene(split_named(options.split),
                                               static_cast<std::uint64_t>(options.seed));
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
  if (!options.output.empty()) {
    check_outputs(options);
    write_picture(options, render(*scene).view());
  }
  write_answer(options, truth_json(*scene, options.masks).text() + "\n");
  return 0;
}

}  // namespace paligemma::cli
