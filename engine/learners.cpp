#include "engine/learners.h"

#include <functional>
#include <numeric>
#include <stdexcept>

#include "fast/backward.h"
#include "fast/paligemma/model.h"
#include "paligemma/weights.h"
#include "train/side_by_side.h"

namespace paligemma {
namespace {

// Whether there is room for gradients of each thread, and threads had too little to share.
bool is_small(const Config& config) {
  Index numbers = 0;
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    numbers +=
        std::accumulate(tensor.shape.begin(), tensor.shape.end(), Index{1}, std::multiplies<>());
  }
  return numbers < Index{1} << 24;
}

}  // namespace

std::unique_ptr<Learner> open_learner(const Device& device, const Config& config,
                                      Parameters& parameters, const LearnerOptions& options) {
  if (device.cuda >= 0) {
    throw std::runtime_error("a model learns on the CPU alone: give --device cpu");
  }
  if (device.executor == "reference") {
    return make_learner(reference, config, parameters, options);
  }
  const Fast fast({.kernels = device.kernels, .threads = device.threads});
  if (fast.threads() == 1 || !is_small(config) || !parameters.adapted_layers().empty()) {
    return make_learner(fast, config, parameters, options);
  }
  return std::make_unique<SideBySide>(
      fast.threads(), config, parameters, options, [&](const LearnerOptions& its) {
        return make_learner(Fast({.kernels = device.kernels, .threads = 1}), config, parameters,
                            its);
      });
}

Orthogonalize orthogonalizer(const Device& device) {
  if (device.executor == "reference") return orthogonalize_plainly;
  return [fast = Fast({.kernels = device.kernels, .threads = device.threads})](
             View<const float, 2> u, View<float, 2> x) { orthogonalize(fast, u, x); };
}

}  // namespace paligemma
