// Scores a model on scenes of the tiny world, or on pictures of such scenes drawn elsewhere.
#include <omp.h>

#include <cmath>
#include <cstdio>
#include <exception>
#include <iostream>

#include "cli/commands.h"
#include "cli/model_folder.h"
#include "engine/devices.h"
#include "processing/segmentation.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/mapped_file.h"
#include "world/render.h"
#include "world/scores.h"

namespace paligemma::cli {
namespace {

using namespace paligemma::world;

constexpr int kBaselineScenes = 10000;

// A picture, what is true about it, and what is to be asked.
struct Examination {
  std::optional<Scene> scene;  // none for pictures from elsewhere: their masks are not known
  Truth truth;
  std::vector<Question> questions;
  std::filesystem::path file;
};

std::vector<Examination> drawn_here(Split split, std::int64_t count) {
  std::vector<Examination> all;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(count); ++i) {
    const Scene scene = random_scene(split, i);
    const Truth truth = truth_of(scene);
    all.push_back({scene, truth, evaluation_questions(truth, split, i), {}});
  }
  return all;
}

std::vector<Examination> drawn_elsewhere(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "scenes.json";
  const JsonFields file(MappedFile(path).text(), path.string());
  std::vector<Examination> all;
  for (const JsonFields& scene : file.objects("scenes")) {
    Truth truth;
    for (const JsonFields& object : scene.objects("objects")) {
      const auto color = color_named(object.text("color"));
      const auto shape = shape_named(object.text("shape"));
      const auto box = object.numbers("box", 0, kCanvas);
      if (!color || !shape || box.size() != 4)
        object.fail("color", "no such thing: " + object.all());
      truth.things.push_back({*color, *shape, {box[0], box[1], box[2], box[3]}});
    }
    auto questions = all_questions(truth, all.size());
    all.push_back({{}, std::move(truth), std::move(questions), folder / scene.text("picture")});
  }
  return all;
}

// Overlap of each mask with the one that is wanted, in pixels of the picture.
void add_masks(const MaskDecoder& decoder, const Examination& examination, const Question& question,
               const std::string& answer, Scores& scores) {
  const Index width = examination.scene->look.width, height = examination.scene->look.height;
  const auto found = parse_detections(answer);
  const auto masks = masks_of(decoder, found, width, height);
  const auto matched = match(examination.truth, question, found);
  for (std::size_t i = 0; i < matched.size(); ++i) {
    const auto* mask = matched[i] < 0 ? nullptr : &masks[static_cast<std::size_t>(matched[i])];
    if (mask == nullptr || !*mask) {
      scores.mask_overlap.add(0);
      continue;
    }
    const auto wanted = render_mask(*examination.scene, question.things[i]);
    double both = 0, either = 0;
    for (Index k = 0; k < width * height; ++k) {
      const bool a = (*mask)->view().data()[k] != 0, b = wanted.view().data()[k] != 0;
      both += a && b;
      either += a || b;
    }
    scores.mask_overlap.add(both / either);
  }
}

Scores examine(const AnyPipeline& pipeline, const Examination& examination,
               const Baseline& baseline) {
  Scores scores;
  scores.scenes = 1;
  const RgbImage image =
      examination.scene
          ? render(*examination.scene)
          : read_image(examination.file, {.blends_alpha = pipeline.config().blends_alpha});
  const auto picture = pipeline.encode(image.view(), {});
  ReplyOptions how = as_configured(pipeline.config().generation);
  how.answers = 1;
  for (const Question& question : examination.questions) {
    const std::string answer = pipeline.generate(picture, question.prompt, how, {}).text;
    scores.add(examination.truth, question, answer, baseline);
    if (question.family == Family::segment && pipeline.mask_decoder()) {
      add_masks(*pipeline.mask_decoder(), examination, question, answer, scores);
    }
  }
  return scores;
}

// One pipeline for each thread that examines: a scene is too little work to share. On a GPU there is one.
using Pipelines = std::vector<std::unique_ptr<const AnyPipeline>>;
Pipelines for_each_thread(std::unique_ptr<const AnyPipeline> pipeline, int threads) {
  Pipelines all;
  for (int i = 0; i < threads; ++i) {
    if (auto one = pipeline->for_one_thread()) all.push_back(std::move(one));
  }
  if (all.empty()) all.push_back(std::move(pipeline));
  return all;
}

Scores examine_all(const Pipelines& pipelines, const std::vector<Examination>& all) {
  const Baseline baseline(kBaselineScenes);
  std::vector<Scores> scores(all.size());
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic) num_threads(static_cast <int>(pipelines.size()))
  for (std::size_t i = 0; i < all.size(); ++i) {
    try {
      const auto thread = static_cast<std::size_t>(omp_get_thread_num());
      scores[i] = examine(*pipelines[thread], all[i], baseline);
    } catch (...) {
#pragma omp critical
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
  Scores total;
  for (const Scores& one : scores) total.add(one);
  return total;
}

// What a task's answers scored, 0 to 1; NaN where nothing was asked.
struct TaskScores {
  std::string name;
  std::vector<std::pair<std::string, double>> scores;
};
std::vector<TaskScores> tasks_of(const Scores& s) {
  return {{"caption",
           {{"exact", s.caption.value()},
            {"f1", s.caption_f1()},
            {"baseline", s.caption_baseline.value()}}},
          {"answer", {{"exact", s.answer.value()}, {"baseline", s.answer_baseline.value()}}},
          {"detect",
           {{"miou", s.overlap.value()},
            {"recall50", s.recall50.value()},
            {"recall75", s.recall75.value()},
            {"absent", s.absent.value()},
            {"invalid", s.invalid.value()}}},
          {"segment", {{"miou", s.mask_overlap.value()}}},
          {"ocr", {{"exact", s.ocr.value()}}}};
}

double rounded(double value) { return std::round(value * 1e4) / 1e4; }

Json as_json(const std::string& split, const Scores& s) {
  std::vector<Field> all{{"split", split}, {"n", s.scenes}}, by;
  for (const auto& [family, mean] : s.answer_by) by.push_back({family, rounded(mean.value())});
  for (const TaskScores& task : tasks_of(s)) {
    std::vector<Field> fields;
    for (const auto& [name, value] : task.scores) {
      fields.push_back({name, rounded(value)});
      if (task.name == "answer" && name == "exact") fields.push_back({"by", object(by)});
    }
    all.push_back({task.name, object(fields)});
  }
  return object(all);
}

void print(const std::string& split, const Scores& s) {
  const auto number = [](double value) {
    char text[16];
    std::snprintf(text, sizeof text, "%.3f", rounded(value));
    return std::string(std::isnan(value) ? "    -" : text);
  };
  std::cout << s.scenes << " scenes, split " << split << "\n";
  for (const TaskScores& task : tasks_of(s)) {
    std::string line = task.name;
    line.resize(9, ' ');
    for (const auto& [name, value] : task.scores) line += " " + name + " " + number(value) + "  ";
    while (line.ends_with(' ')) line.pop_back();
    std::cout << line << "\n";
  }
  for (const auto& [family, mean] : s.answer_by) {
    std::cout << "  answer about " << family << " " << number(mean.value()) << "\n";
  }
}

}  // namespace

int run_eval(const Options& options) {
  if (!options.training.data.empty()) return run_eval_lines(options);
  constexpr std::int64_t kDefaultScenes = 2000;
  const std::int64_t count = options.scenes.value_or(kDefaultScenes);
  auto all = options.split == "other" ? drawn_elsewhere(shared_files() / "world/other")
                                      : drawn_here(split_named(options.split), count);
  if (static_cast<std::int64_t>(all.size()) > count) all.resize(static_cast<std::size_t>(count));
  const ModelFolder found = find_model(options);
  const Device device = choose_device(options.executor(found.path));
  PipelineOptions pipeline_options = options.pipeline();
  pipeline_options.model = found.path;
  auto pipeline = open_pipeline(device, pipeline_options);
  print_notes(options, {device.note, found.note, pipeline->config().generation.note,
                        pipeline->tokenizer().note()});
  const auto pipelines = for_each_thread(std::move(pipeline), device.threads);
  const Scores scores = examine_all(pipelines, all);
  if (options.json) {
    std::cout << as_json(options.split, scores).text() << "\n";
  } else {
    print(options.split, scores);
  }
  return 0;
}

}  // namespace paligemma::cli
