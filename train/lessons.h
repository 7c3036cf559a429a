// Lessons: what is learned from at each step.
//
// Those of a step depend on its number and what the lessons were made of alone, so that a run may go on anywhere.
//
// Read next: train/examples.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "train/examples.h"
#include "train/learner.h"

namespace paligemma {

class Lessons {
 public:
  virtual ~Lessons() = default;

  // Of a step, from 1 on. Their losses and gradients are summed up; weights make a mean of the sum. Throws ImageError.
  virtual std::vector<TrainingBatch> of_step(Index step) = 0;
  // The mean over all tokens of what is not learned from; nothing where there is nothing. Throws ImageError.
  virtual std::optional<double> validation_loss(Learner& learner) = 0;
};

struct LineOrder {
  Index batch = 1, accumulate = 1;  // lines of a batch, batches of a step
  bool shuffles = true, skip_bad = false;
  std::uint64_t seed = 0;
};

// Lines of a file: batch * accumulate of them from place (step - 1) batch accumulate of the order on.
class LineLessons : public Lessons {
 public:
  LineLessons(const LineOrder& how, Examples& examples, Examples* validation);

  std::vector<TrainingBatch> of_step(Index step) override;
  std::optional<double> validation_loss(Learner& learner) override;

  Index skipped() const { return skipped_; }  // how often a picture could not be decoded

 private:
  std::vector<Example> decoded(Examples& from, std::span<const Index> lines);

  LineOrder how_;
  Examples& examples_;
  Examples* validation_;
  Order order_;
  Index skipped_ = 0;
};

}  // namespace paligemma
