// Scene lessons: at each step new scenes, and what is asked about them.
//
//   lesson     a picture, up to four questions with their answers, and what lies under each of its patches
//   loss       sum over tokens of all answers of weight * cross_entropy  +  the dense head's
//
// A token's weight is one over the root of its answer's length, between one vote per token and one per answer; a mask
// token's is 0.3 of that, for many say one mask. The weights of a step are brought to a sum of 1. A coordinate is aimed
// at with its neighbours (train/cross_entropy.h), 20 of them wide at first, 3 in the end, and the dense loss counts 0.3
// at first, 0.03 in the end.
//
// Read next: world/curriculum.h.
#pragma once

#include <filesystem>

#include "paligemma/config.h"
#include "processing/mask_encoder.h"
#include "processing/tokenizer.h"
#include "tiny/dense_targets.h"
#include "tiny/scene_source.h"
#include "tiny/stages.h"
#include "train/lessons.h"
#include "world/questions.h"

namespace paligemma::tiny {

class SceneLessons : public Lessons {
 public:
  // All but the stage and the path live as long as this does. Throws as SceneSource does.
  SceneLessons(const Stage& stage, const Config& config, const Tokenizer& tokenizer,
               const MaskEncoder& masks, const std::filesystem::path& photos);

  std::vector<TrainingBatch> of_step(Index step) override;
  // The mean over the tokens that answer questions about scenes of Split::validation; nothing where nothing is asked.
  std::optional<double> validation_loss(Learner& learner) override;

 private:
  struct Asked {
    std::vector<TokenId> ids;
    Index prefix;
    std::vector<float> weights;  // of those behind the prefix
  };
  struct Lesson {
    Buffer<float, 3> pixels{{0, 0, 0}};
    std::vector<Asked> asked;
    PatchTruth patches;
  };
  Lesson lesson_of(const DrawnScene& drawn, const std::vector<world::Question>& questions) const;
  Asked asked_of(const DrawnScene& drawn, const world::Question& question) const;
  // Without weights, each token counts 1.
  TrainingBatch batch_of(std::span<const Lesson> lessons) const;

  Stage stage_;
  const Config& config_;
  const Tokenizer& tokenizer_;
  const MaskEncoder& masks_;
  SceneSource scenes_;
  std::vector<TrainingBatch> validation_;
};

}  // namespace paligemma::tiny
