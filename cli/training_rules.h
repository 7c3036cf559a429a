// What the flags of `finetune` mean.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cli/options.h"
#include "paligemma/checkpoint.h"
#include "train/learner.h"
#include "train/loop.h"

namespace paligemma::cli {

struct TrainingRules {
  LoopOptions loop;
  LineOrder lines;
  OptimizerRule optimizer;
  LearnerOptions learner;
  std::optional<LoraRule> lora;  // or, without one, what is learned of the model
  std::function<bool(const std::string& tensor)> is_learned;
};

// Of so many lines, and a model whose weights are stored so. Throws UsageError.
TrainingRules training_rules(const Options& options, Index lines, WeightFormat stored);

// Throws UsageError if there is nothing to learn.
Parameters chosen_parameters(Checkpoint& checkpoint, const Config& config,
                             const TrainingRules& rules);

// All that the numbers of the run depend on, as a JSON object. Where the rate does not know the end, neither does this.
std::string identity_of(const Options& options, const TrainingRules& rules,
                        const Checkpoint& checkpoint);

}  // namespace paligemma::cli
