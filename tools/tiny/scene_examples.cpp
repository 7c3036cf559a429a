// Writes scenes with questions and answers to standard output, for training (tools/tiny/README.md):
//
//   scene_examples --split train --first 0 --size 112 --examples 4 | ...
//
// One record per scene, without end unless --count says so:
//
//   u32           length of the JSON, little-endian
//   JSON          {"seed", "objects": [{"color", "shape", "box"}], "text", "examples": [...]}
//   bytes         the picture, size x size x 3, resized as the program resizes
//   bytes         for every object its mask: cut out by its box, 64 x 64, 0 to 255
//
// With --photos, three records in a hundred are cuttings of these pictures, which hold no shapes.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "processing/resize.h"
#include "tiny/scene_source.h"
#include "world/curriculum.h"

namespace {

using namespace paligemma;
using namespace paligemma::world;
using json = nlohmann::ordered_json;

struct Settings {
  std::string split = "train", photos;
  std::uint64_t first = 0, count = ~std::uint64_t{0};
  int size = 112, examples = 4;
  double texts = 0.25;
  bool hard = false;
};

std::string record_of(const Settings& settings, const tiny::SceneSource& scenes,
                      std::uint64_t index) {
  const Split split = split_named(settings.split);
  tiny::DrawnScene drawn = scenes.without_picture(index);
  const Truth& truth = drawn.truth;
  json record = {{"seed", index}, {"objects", json::array()}, {"text", nullptr}};
  for (const Thing& thing : truth.things) {
    record["objects"].push_back(
        {{"color", name_of(thing.color)}, {"shape", name_of(thing.shape)}, {"box", thing.box}});
  }
  if (truth.writing) {
    record["text"] = {{"text", truth.writing->text},
                      {"box", truth.writing->box},
                      {"boxes", truth.writing->characters}};
  }
  record["examples"] = json::array();
  const auto questions = split == Split::train ? training_questions(truth, settings.examples,
                                                                    drawn.random, settings.hard)
                                               : evaluation_questions(truth, split, index);
  for (const Question& q : questions) {
    record["examples"].push_back({{"task", name_of(task_of(q.family))},
                                  {"family", name_of(q.family)},
                                  {"prompt", q.prompt},
                                  {"answer", q.answer}});
  }

  const std::string text = record.dump();
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(text.size() >> shift);
  bytes += text;
  scenes.draw(drawn);
  RgbImage small({settings.size, settings.size, 3}, unwritten);
  resize(drawn.picture.view(), ResampleFilter::bicubic, small.view());
  const auto append = [&](const std::uint8_t* data, Index count) {
    bytes.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(count));
  };
  append(small.view().data(), small.view().count());
  for (std::size_t i = 0; i < truth.things.size(); ++i) {
    const auto mask = tiny::small_mask(drawn.scene, truth, i);
    append(mask.view().data(), mask.view().count());
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Scenes with questions and answers");
  Settings settings;
  app.add_option("--split", settings.split, "train, val, test or held-out");
  app.add_option("--first", settings.first, "number of the first scene");
  app.add_option("--count", settings.count, "how many; without it, until nobody reads");
  app.add_option("--size", settings.size, "pixels a side");
  app.add_option("--examples", settings.examples, "questions per training scene, at most");
  app.add_flag("--hard", settings.hard, "more of the questions that are learnt last");
  app.add_option("--texts", settings.texts, "share of scenes that are to have a text");
  app.add_option("--photos", settings.photos, "folder of pictures of other things");
  CLI11_PARSE(app, argc, argv);
  try {
    const tiny::SceneSource scenes(split_named(settings.split), settings.texts, settings.photos);
    for (std::uint64_t i = 0; i < settings.count; ++i) {
      const std::string bytes = record_of(settings, scenes, settings.first + i);
      if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size()) return 1;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "scene_examples: %s\n", error.what());
    return 1;
  }
  return 0;
}
