#include "train/gradients.h"

#include <algorithm>
#include <cmath>

#include "fast/backward.h"
#include "fast/from_reference.h"
#include "fast/gemma/rms_norm.h"
#include "fast/gemma/rope.h"
#include "fast/gemma/soft_cap.h"
#include "fast/siglip/patch_embedding.h"
#include "fast/tensor/layer_norm.h"
#include "fast/tensor/linear.h"
#include "fast/tensor/lora.h"
#include "fast/tensor/residual_add.h"
#include "fast/tensor/scaled_dot_product_attention.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/training_golden.h"
#include "train/parameters.h"

namespace paligemma {
namespace {

using namespace test;

class FastGradients : public OnEveryInstructionSet {};
INSTANTIATE_TEST_SUITE_P(, FastGradients, kInstructionSets, instruction_set_name);

// As tests/train/gradients_test.cpp. Weights are floats here, so nothing is rounded but sums; attention peaks in these
// checkpoints, and makes other sums' roundings up to ten times as large as torch's own.
TEST_P(FastGradients, AreTorchs) {
  for (const int version : {1, 2}) {
    TrainingGolden golden(version);
    Parameters parameters(golden.checkpoint, golden.config,
                          [](const std::string&) { return true; });
    const Model<Fast, HostWeights<float>> model{fast, golden.config.vision, golden.config.text,
                                                golden.config.image_token, parameters.weights()};
    const double loss = gradients(fast, model, golden.batch({0, 1}), {}, parameters.gradients());
    EXPECT_NEAR(loss, golden.losses[0], 1e-5 * golden.losses[0]);
    EXPECT_NEAR(loss_of(fast, model, golden.batch({0, 1})), loss, 1e-5 * loss);
    for (const Parameter& parameter : parameters.all()) {
      if (parameter.name.ends_with("k_proj.bias")) continue;  // vanishes
      const std::vector<float>& expected = golden.gradients.at(parameter.name);
      double largest = 0, worst = 0;
      const float* const numbers = parameter.gradient.view().data();
      for (std::size_t i = 0; i < expected.size(); ++i) {
        largest = std::max(largest, std::abs(double{expected[i]}));
        worst = std::max(worst, std::abs(double{numbers[i]} - double{expected[i]}));
      }
      EXPECT_LT(worst, 8e-4 * largest) << parameter.name;
    }
  }
}

// Both leave out the same, so they differ by roundings alone.
TEST_P(FastGradients, AreTheReferencesWithDropout) {
  for (const int version : {1, 2}) {
    TrainingGolden golden(version);
    const auto all = [](const std::string&) { return true; };
    Parameters parameters(golden.checkpoint, golden.config, all),
        expected(golden.checkpoint, golden.config, all);
    const auto learn = [&](const auto& on, Parameters& of) {
      const Model<std::decay_t<decltype(on)>, HostWeights<float>> model{
          on, golden.config.vision, golden.config.text, golden.config.image_token, of.weights()};
      TrainingBatch batch = golden.batch({0, 1});
      batch.number = 7;
      return gradients(on, model, batch, {.dropout = 0.2f, .seed = 3}, of.gradients());
    };
    const double loss = learn(reference, expected);
    EXPECT_NEAR(learn(fast, parameters), loss, 1e-5 * loss);
    for (std::size_t i = 0; i < expected.all().size(); ++i) {
      const Parameter& parameter = parameters.all()[i];
      if (parameter.name.ends_with("k_proj.bias")) continue;  // vanishes
      const auto found = parameter.gradient.view();
      const float* const numbers = std::as_const(expected.all()[i]).gradient.view().data();
      double largest = 0, worst = 0;
      for (Index k = 0; k < found.count(); ++k) {
        largest = std::max(largest, std::abs(double{numbers[k]}));
        worst = std::max(worst, std::abs(double{found.data()[k]} - double{numbers[k]}));
      }
      EXPECT_LT(worst, 8e-4 * largest) << parameter.name;
    }
  }
}

}  // namespace
}  // namespace paligemma
