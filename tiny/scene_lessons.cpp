#include "tiny/scene_lessons.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "paligemma/pipeline.h"
#include "processing/prompt.h"
#include "world/curriculum.h"

namespace paligemma::tiny {
namespace {

constexpr int kQuestions = 4;
constexpr double kWidest = 20, kNarrowest = 3;
constexpr double kDense = 0.3, kLeastDense = 0.1;  // of it
constexpr float kMaskWeight = 0.3f;
constexpr Index kValidationScenes = 128, kCoordinates = 1024;

// Calls of(i) for each, by several threads. What one throws is thrown behind all.
template <class Of>
void for_all(Index count, const Of& of) {
  std::exception_ptr first;
#pragma omp parallel for schedule(dynamic)
  for (Index i = 0; i < count; ++i) {
    try {
      of(i);
    } catch (...) {
#pragma omp critical
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace

SceneLessons::SceneLessons(const Stage& stage, const Config& config, const Tokenizer& tokenizer,
                           const MaskEncoder& masks, const std::filesystem::path& photos)
    : stage_(stage),
      config_(config),
      tokenizer_(tokenizer),
      masks_(masks),
      scenes_(world::Split::train, stage.texts, photos) {}

SceneLessons::Asked SceneLessons::asked_of(const DrawnScene& drawn,
                                           const world::Question& question) const {
  Asked asked{
      make_prompt(tokenizer_, question.prompt, static_cast<int>(config_.vision.patches())).ids,
      0,
      {}};
  asked.prefix = std::ssize(asked.ids);
  const TokenId first_seg = tokenizer_.encode("<seg000>").front();
  std::string_view rest = question.answer;
  while (!rest.empty()) {  // {2} stands for the mask of thing 2
    const std::size_t brace = std::min(rest.find('{'), rest.size());
    const std::vector<TokenId> words = tokenizer_.encode(rest.substr(0, brace));
    asked.ids.insert(asked.ids.end(), words.begin(), words.end());
    rest.remove_prefix(brace);
    if (rest.empty()) break;
    const auto thing = static_cast<std::size_t>(rest[1] - '0');
    for (const int code : masks_.encode(small_mask(drawn.scene, drawn.truth, thing).view())) {
      asked.ids.push_back(first_seg + code);
    }
    rest.remove_prefix(3);
  }
  asked.ids.push_back(tokenizer_.eos());
  const auto behind = std::span(asked.ids).subspan(static_cast<std::size_t>(asked.prefix));
  const float each = 1 / std::sqrt(static_cast<float>(behind.size()));
  for (const TokenId id : behind) {
    asked.weights.push_back(tokenizer_.seg(id) ? kMaskWeight * each : each);
  }
  return asked;
}

SceneLessons::Lesson SceneLessons::lesson_of(const DrawnScene& drawn,
                                             const std::vector<world::Question>& questions) const {
  Lesson lesson{vision_pixels(config_, drawn.picture.view()), {}, {}};
  for (const world::Question& question : questions)
    lesson.asked.push_back(asked_of(drawn, question));
  const Index grid = config_.vision.image_size / config_.vision.patch_size;
  lesson.patches = patch_truth(drawn.truth, grid);
  return lesson;
}

TrainingBatch SceneLessons::batch_of(std::span<const Lesson> lessons) const {
  const Index R = config_.vision.image_size;
  TrainingBatch batch;
  batch.pixels = Buffer<float, 4>({std::ssize(lessons), R, R, 3}, unwritten);
  for (Index picture = 0; picture < std::ssize(lessons); ++picture) {
    const Lesson& lesson = lessons[static_cast<std::size_t>(picture)];
    std::copy_n(lesson.pixels.view().data(), lesson.pixels.view().count(),
                batch.pixels.view().row(picture).data());
    for (const Asked& asked : lesson.asked) {
      const auto first = std::ssize(batch.ids), T = std::ssize(asked.ids);
      batch.shown.push_back(picture);
      batch.segments.push_back({SequenceId{}, 0, T, asked.prefix});
      batch.ids.insert(batch.ids.end(), asked.ids.begin(), asked.ids.end());
      for (Index t = asked.prefix; t < T; ++t) {
        batch.next.rows.push_back(first + t - 1);
        batch.next.targets.push_back(asked.ids[static_cast<std::size_t>(t)]);
      }
      batch.next.weights.insert(batch.next.weights.end(), asked.weights.begin(),
                                asked.weights.end());
    }
  }
  return batch;
}

std::vector<TrainingBatch> SceneLessons::of_step(Index step) {
  std::vector<Lesson> lessons(static_cast<std::size_t>(stage_.pictures));
  for_all(stage_.pictures, [&](Index i) {
    const auto index = static_cast<std::uint64_t>((step - 1) * stage_.pictures + i);
    DrawnScene drawn = scenes_.at(stage_.first_scene + index);
    const auto questions =
        stage_.asks ? world::training_questions(drawn.truth, kQuestions, drawn.random, stage_.hard)
                    : std::vector<world::Question>();
    lessons[static_cast<std::size_t>(i)] = lesson_of(drawn, questions);
  });

  double sum = 0;
  DenseCounts counts;
  for (const Lesson& lesson : lessons) {
    counts.add(lesson.patches);
    for (const Asked& asked : lesson.asked) {
      for (const float weight : asked.weights) sum += double{weight};
    }
  }
  const double so_far = settled(stage_, step);
  const double dense = stage_.asks ? kDense * std::max(kLeastDense, 1 - so_far) : 1;
  const TokenId first_loc = tokenizer_.encode("<loc0000>").front();
  std::vector<TrainingBatch> batches;
  const auto at_once = static_cast<std::size_t>(stage_.at_once);
  for (std::size_t begin = 0; begin < lessons.size(); begin += at_once) {
    const std::span<const Lesson> some =
        std::span(lessons).subspan(begin, std::min(at_once, lessons.size() - begin));
    TrainingBatch& batch = batches.emplace_back(batch_of(some));
    for (float& weight : batch.next.weights) weight /= static_cast<float>(sum);
    batch.next.scale = {first_loc, first_loc + static_cast<TokenId>(kCoordinates),
                        static_cast<float>(std::max(kNarrowest, kWidest * (1 - so_far)))};
    std::vector<const PatchTruth*> patches;
    for (const Lesson& lesson : some) patches.push_back(&lesson.patches);
    batch.dense = dense_targets(patches, counts, dense);
  }
  return batches;
}

std::optional<double> SceneLessons::validation_loss(Learner& learner) {
  if (!stage_.asks) return std::nullopt;
  if (validation_.empty()) {
    const SceneSource scenes(world::Split::validation, 0.25);
    std::vector<Lesson> lessons(static_cast<std::size_t>(kValidationScenes));
    for_all(kValidationScenes, [&](Index i) {
      const auto index = static_cast<std::uint64_t>(i);
      const DrawnScene drawn = scenes.at(index);
      lessons[index] = lesson_of(
          drawn, world::evaluation_questions(drawn.truth, world::Split::validation, index));
    });
    for (std::size_t begin = 0; begin < lessons.size(); begin += 8) {
      validation_.push_back(batch_of(std::span(lessons).subspan(begin, 8)));
      std::ranges::fill(validation_.back().next.weights, 1.0f);
    }
  }
  double sum = 0;
  Index tokens = 0;
  for (const TrainingBatch& batch : validation_) {
    sum += learner.loss(batch);
    tokens += std::ssize(batch.next.rows);
  }
  return sum / static_cast<double>(tokens);
}

}  // namespace paligemma::tiny
