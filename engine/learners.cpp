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

Orthogonalize orthogonalizer(const Device& device) {
  if (device.executor == "reference") return orthogonalize_plainly;
  return [fast = Fast({.kernels = device.kernels, .threads = device.threads})](
             View<const float, 2> u, View<float, 2> x) { orthogonalize(fast, u, x); };
}

}  // namespace paligemma
