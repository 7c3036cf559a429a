// How fast a model learns, and how fast this machine could be: `paligemma bench --train`.
//
// A step of so many examples, each a picture, 8 words and 8 words that are learned, <eos> among them: gradients, their
// length, and the optimizer. Its floor is the time of its operations at the measured peak, counted as the way there's:
//
//   a tower, learned             three times: there, to what came before, to the weights
//   with adapters beside it      twice: nothing goes to the weights
//   frozen                       once
//   computed again               once more, unless it is frozen
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "fast/core/fast.h"
#include "fast/paligemma/measure.h"
#include "train/learner.h"
#include "train/optimizer.h"

namespace paligemma {

struct TrainingMeasurement {
  Limits probe;
  Measured step;
};

struct TrainingMeasureOptions {
  LearnerOptions learner;
  Index batch = 1;
  int rounds = 5;
  std::vector<std::span<const std::byte>> memory;  // of the weights, for the probe
};

// `machine` probes the limits.
TrainingMeasurement measure_training(const Fast& machine, const Config& config, Learner& learner,
                                     Parameters& parameters, const TrainingMeasureOptions& options);

}  // namespace paligemma
