#include "engine/learners.h"

#include <stdexcept>

#include "fast/backward.h"
#include "fast/paligemma/model.h"

namespace paligemma {

std::unique_ptr<Learner> open_learner(const Device& device, const Config& config,
                                      Parameters& parameters, const LearnerOptions& options) {
  if (device.cuda >= 0) {
    throw std::runtime_error("a model learns on the CPU alone: give --device cpu");
  }
  if (device.executor == "reference") {
    return make_learner(reference, config, parameters, options);
  }
  return make_learner(Fast({.kernels = device.kernels, .threads = device.threads}), config,
                      parameters, options);
}

}  // namespace paligemma
