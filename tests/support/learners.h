// What a learner promises, whoever computes: the gradients that train/gradients.h has, in every format.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/training_golden.h"
#include "train/learner.h"
#include "train/optimizer.h"

namespace paligemma::test {

inline const auto kFormats =
    ::testing::Values(WeightFormat::f32, WeightFormat::bf16, WeightFormat::f16,
                      WeightFormat::int8_blocks, WeightFormat::int4_blocks);

inline LoraRule all_linear() {
  return {.rank = 2, .alpha = 4, .is_target = lora_targets("all-linear"), .seed = 3};
}

// All of the model, or where blocks are its weights, which are not learned, the vision tower.
inline Parameters::Choice learnable(WeightFormat format) {
  return [=](const std::string& name) {
    return !is_quantized(format) || name.starts_with("vision_tower.");
  };
}

inline std::vector<std::vector<float>> gradients_of(const Parameters& parameters) {
  std::vector<std::vector<float>> all;
  for (const Parameter& parameter : parameters.all()) {
    const auto numbers = parameter.gradient.view();
    all.emplace_back(numbers.data(), numbers.data() + numbers.count());
  }
  return all;
}

// Twice the same batch, since gradients are added, and its loss; `learned` is a choice of tensors or a LoraRule.
template <class On, class Learned>
void expect_what_gradients_says(const On& on, int version, const Learned& learned,
                                const LearnerOptions& options) {
  TrainingGolden golden(version);
  Parameters by_learner(golden.checkpoint, golden.config, learned);
  Parameters by_hand(golden.checkpoint, golden.config, learned);
  const TrainingBatch batch = golden.batch({0, 1, 2});
  const auto learner = make_learner(on, golden.config, by_learner, options);
  with_format(options.format, [&]<class Real>(Real) {
    const Config& config = golden.config;
    const Model<On, WeightsOn<On, Real>> model{on, config.vision, config.text, config.image_token,
                                               by_hand.weights<Real>()};
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(learner->learn(batch),
                gradients(on, model, batch, options.rule, by_hand.gradients()));
    }
    const auto before = gradients_of(by_learner);
    EXPECT_EQ(before, gradients_of(by_hand));
    EXPECT_EQ(learner->loss(batch), loss_of(on, model, batch));
    EXPECT_EQ(gradients_of(by_learner), before);
  });
  double sum = 0;
  for (Parameters* parameters : {&by_learner, &by_hand}) parameters->collect();
  for (const auto& numbers : gradients_of(by_learner)) {
    for (const float number : numbers) sum += std::abs(number);
  }
  EXPECT_GT(sum, 0);
  EXPECT_EQ(gradients_of(by_learner), gradients_of(by_hand));
}

// What is frozen is read as it is stored, in any format, and the loss of the same lines falls beside it.
template <class On>
void expect_adapters_learn(const On& on, int version, WeightFormat format) {
  TrainingGolden golden(version);
  Parameters parameters(golden.checkpoint, golden.config, all_linear());
  Optimizer optimizer({}, parameters.all());
  const auto learner = make_learner(on, golden.config, parameters, {.format = format});
  const TrainingBatch batch = golden.batch({0, 1});
  double last = learner->loss(batch);
  for (Index step = 1; step <= 3; ++step) {
    parameters.zero();
    learner->learn(batch);
    parameters.collect();
    optimizer.step(1e-3, step);
    parameters.refresh();
    const double loss = learner->loss(batch);
    EXPECT_LT(loss, last) << step;
    last = loss;
  }
}

}  // namespace paligemma::test
