// Learner: a model whose gradients can be asked for, whoever computes them.
//
// The rest of training, from the batch to the optimizer, sees no executor (train/loop.h).
//
// Read next: train/gradients.h.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "train/gradients.h"
#include "train/parameters.h"

namespace paligemma {

struct LearnerOptions {
  WeightFormat format = WeightFormat::f32;  // of the weights that the model reads
  LearningRule rule = {};
  std::optional<DenseHead> head = {};  // beside the vision tower
  GradientSums* sums = nullptr;  // in the place of the parameters' gradients, and of the head's
};

class Learner {
 public:
  virtual ~Learner() = default;

  // Adds the gradients of the batch to the parameters'.
  virtual double learn(const TrainingBatch& batch) = 0;
  virtual double learn_all(std::span<const TrainingBatch> batches) {
    double sum = 0;
    for (const TrainingBatch& batch : batches) sum += learn(batch);
    return sum;
  }
  virtual double loss(const TrainingBatch& batch) = 0;
};

template <class On, class Real>
class LearnerOn : public Learner {
 public:
  LearnerOn(On on, const Config& config, Parameters& parameters, const LearnerOptions& options)
      : options_(options),
        model_{std::move(on),
               config.vision,
               config.text,
               config.image_token,
               parameters.weights<Real>(),
               nullptr,
               config.projector_activation},
        gradients_(options.sums != nullptr ? parameters.gradients(*options.sums)
                                           : parameters.gradients()) {
    if (options.sums != nullptr && options.head) {
      options_.head->gradients = parameters.in_sums(options.head->gradients, *options.sums);
    }
  }

  double learn(const TrainingBatch& batch) override {
    return gradients(model_.on, model_, batch, options_.rule, gradients_,
                     options_.head ? &*options_.head : nullptr);
  }
  double loss(const TrainingBatch& batch) override { return loss_of(model_.on, model_, batch); }

 private:
  LearnerOptions options_;
  Model<On, WeightsOn<On, Real>> model_;
  ModelWeights<HostGradients> gradients_;
};

template <class On>
std::unique_ptr<Learner> make_learner(On on, const Config& config, Parameters& parameters,
                                      const LearnerOptions& options) {
  return with_format(options.format, [&]<class Real>(Real) -> std::unique_ptr<Learner> {
    return std::make_unique<LearnerOn<On, Real>>(std::move(on), config, parameters, options);
  });
}

}  // namespace paligemma
