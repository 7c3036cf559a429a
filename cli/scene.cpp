// Draws a scene of the tiny world, described in words or by chance, and tells the truth about it.
#include <cmath>

#include "cli/commands.h"
#include "cli/objects.h"
#include "cli/outputs.h"
#include "world/board.h"
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

Json truth_json(const Scene& scene, const Options& options) {
  const Truth truth = truth_of(scene);
  std::vector<Json> objects;
  for (std::size_t i = 0; i < scene.objects.size(); ++i) {
    const Object& o = scene.objects[i];
    std::vector<Field> fields{{"color", name_of(o.color)},
                              {"shape", name_of(o.shape)},
                              {"size", size_word(o.radius)},
                              {"radius", std::round(o.radius * 100) / 100},
                              {"box_xyxy", xyxy(truth.things[i].box)}};
    if (options.masks)
      fields.push_back({"mask_png_base64", png_base64(render_mask(scene, i).view())});
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

Json truth_json(const Board& board, const Options& options) {
  if (options.masks) throw UsageError("--masks: the cells of a board have boxes, but no masks");
  std::vector<Json> boxes;
  boxes.reserve(9);
  for (int i = 0; i < 9; ++i) boxes.push_back(xyxy(box_of_cell(board, i)));
  return object({{"canvas", array({kCanvas, kCanvas})},
                 {"width", board.look.width},
                 {"height", board.look.height},
                 {"board", text_of(board.cells)},
                 {"winner", std::string(1, winner_of(board.cells))},
                 {"cells_xyxy", array(boxes)}});
}

template <class Drawn>
void show(const Drawn& drawn, const Options& options) {
  const std::string truth = truth_json(drawn, options).text() + "\n";
  if (!options.output.empty()) {
    check_outputs(options);
    write_picture(options, render(drawn).view());
  }
  write_answer(options, truth);
}

}  // namespace

int run_scene(const Options& options) {
  if (options.split == "other") throw UsageError("--split other: its pictures lie in world/other");
  const auto& description = options.description;
  const auto index = static_cast<std::uint64_t>(options.seed);
  try {
    const Split split = split_named(options.split);
    if (options.board) {
      show(description ? parse_board(*description) : random_board(split, index), options);
    } else {
      show(description ? parse_scene(*description) : random_scene(split, index), options);
    }
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
  return 0;
}

}  // namespace paligemma::cli
