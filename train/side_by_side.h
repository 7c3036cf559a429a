// Side by side: learners that share the sequences of a step, one for each thread.
//
// A small model's products are too short to be shared by threads: waking them, and waiting for the last, takes as long
// as the work. So each thread goes there and back alone, with some of the sequences and gradients of its own, which are
// added up in the end, in the learners' order. The numbers depend on how many learners there are, and on nothing else.
//
// Read next: train/batch.h.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "train/learner.h"

namespace paligemma {

// Parts of a batch, of whole sequences, about alike in rows; fewer where there are fewer sequences. One that has a
// dense head's targets is not taken apart.
std::vector<TrainingBatch> split(const TrainingBatch& batch, Index parts, Index image_tokens,
                                 TokenId image_token);

class SideBySide : public Learner {
 public:
  // A learner that one thread alone will ask.
  using Make = std::function<std::unique_ptr<Learner>(const LearnerOptions& options)>;

  // Makes `count` of them. Throws ContractError where several would learn adapters.
  SideBySide(Index count, const Config& config, Parameters& parameters,
             const LearnerOptions& options, const Make& make);

  double learn(const TrainingBatch& batch) override;
  double learn_all(std::span<const TrainingBatch> batches) override;
  double loss(const TrainingBatch& batch) override;

 private:
  std::vector<TrainingBatch> parts_of(const TrainingBatch& batch) const;

  Index image_tokens_;
  TokenId image_token_;
  Parameters& parameters_;
  std::vector<GradientSums> sums_;  // of all learners but the first
  std::vector<std::unique_ptr<Learner>> learners_;
};

}  // namespace paligemma
