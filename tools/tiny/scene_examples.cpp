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
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "processing/resize.h"
#include "world/curriculum.h"
#include "world/render.h"

namespace {

using namespace paligemma;
using namespace paligemma::world;
using json = nlohmann::ordered_json;

constexpr Index kMaskSide = 64;

// A copy of x [y0 : y0 + height, x0 : x0 + width, :].
RgbImage cut_out(View<const std::uint8_t, 3> x, Index y0, Index x0, Index height, Index width) {
  RgbImage part({height, width, 3});
  for (Index y = 0; y < height; ++y) {
    for (Index i = 0; i < width; ++i) {
      for (Index c = 0; c < 3; ++c) part.view()(y, i, c) = x(y0 + y, x0 + i, c);
    }
  }
  return part;
}

RgbImage resized(View<const std::uint8_t, 3> x, Index size, ResampleFilter filter) {
  RgbImage y({size, size, 3});
  resize(x, filter, y.view());
  return y;
}

// As the training code of PaliGemma does: the box rounded to pixels, then resized.
void append_mask(const Scene& scene, std::size_t index, const CanvasBox& box, std::string& out) {
  const auto mask = render_mask(scene, index);
  const Index height = mask.view().size(0), width = mask.view().size(1);
  RgbImage grey({height, width, 3});
  for (Index i = 0; i < mask.view().count(); ++i) {
    for (Index c = 0; c < 3; ++c) grey.view().data()[i * 3 + c] = mask.view().data()[i];
  }
  const auto pixel = [](double v, Index size) { return std::lround(v / kCanvas * double(size)); };
  const Index y0 = pixel(box[0], height), y1 = pixel(box[2], height);
  const Index x0 = pixel(box[1], width), x1 = pixel(box[3], width);
  const RgbImage small = resized(cut_out(grey.view(), y0, x0, y1 - y0, x1 - x0).view(), kMaskSide,
                                 ResampleFilter::bilinear);
  for (Index i = 0; i < kMaskSide * kMaskSide; ++i) {
    out += static_cast<char>(small.view().data()[i * 3]);
  }
}

// The PNG pictures of a folder, by name.
std::vector<RgbImage> read_all(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".png") names.push_back(entry.path());
  }
  std::sort(names.begin(), names.end());
  std::vector<RgbImage> pictures;
  pictures.reserve(names.size());
  for (const auto& name : names) pictures.push_back(read_image(name));
  return pictures;
}

RgbImage random_cutting(const std::vector<RgbImage>& photos, Random& random) {
  const auto photo = random.one_of(std::span(photos)).view();
  const auto part_of = [&](Index size) {
    return static_cast<Index>(double(size) * random.between(0.3, 1));
  };
  const Index height = part_of(photo.size(0)), width = part_of(photo.size(1));
  const Index y0 = random.below(static_cast<int>(photo.size(0) - height) + 1);
  const Index x0 = random.below(static_cast<int>(photo.size(1) - width) + 1);
  return cut_out(photo, y0, x0, height, width);
}

struct Settings {
  std::string split = "train", photos;
  std::uint64_t first = 0, count = ~std::uint64_t{0};
  int size = 112, examples = 4;
  double texts = 0.25;
  bool hard = false;
};

std::string record_of(const Settings& settings, const std::vector<RgbImage>& photos,
                      std::uint64_t index) {
  const Split split = split_named(settings.split);
  Random random(scene_seed(split, index) ^ (std::uint64_t{1} << 61));
  const bool photo = !photos.empty() && random.chance(0.03);
  const Scene scene = photo ? Scene{} : random_scene(split, index, settings.texts);
  const Truth truth = truth_of(scene);
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
  const auto questions = split == Split::train
                             ? training_questions(truth, settings.examples, random, settings.hard)
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
  const RgbImage picture = photo ? random_cutting(photos, random) : render(scene);
  const RgbImage small = resized(picture.view(), settings.size, ResampleFilter::bicubic);
  bytes.append(reinterpret_cast<const char*>(small.view().data()),
               static_cast<std::size_t>(small.view().count()));
  for (std::size_t i = 0; i < truth.things.size(); ++i) {
    append_mask(scene, i, truth.things[i].box, bytes);
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
  app.add_option("--photos", settings.photos, "folder of PNG pictures of other things");
  CLI11_PARSE(app, argc, argv);
  try {
    std::vector<RgbImage> photos;
    if (!settings.photos.empty()) photos = read_all(settings.photos);
    for (std::uint64_t i = 0; i < settings.count; ++i) {
      const std::string bytes = record_of(settings, photos, settings.first + i);
      if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size()) return 1;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "scene_examples: %s\n", error.what());
    return 1;
  }
  return 0;
}
