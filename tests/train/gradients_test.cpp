#include "train/gradients.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "paligemma/checkpoint.h"
#include "tests/support/compare.h"
#include "tests/support/training_golden.h"
#include "train/parameters.h"

namespace paligemma {
namespace {

using namespace test;

class Gradients : public ::testing::TestWithParam<int> {
 protected:
  TrainingGolden golden_{GetParam()};
  Parameters parameters_{golden_.checkpoint, golden_.config,
                         [](const std::string&) { return true; }};
  Model<Reference, HostWeights<float>> model_{reference, golden_.config.vision, golden_.config.text,
                                              golden_.config.image_token, parameters_.weights()};

  static double norm_of(const Parameter& parameter) {
    double sum = 0;
    const auto numbers = parameter.gradient.view();
    for (Index i = 0; i < numbers.count(); ++i) sum += std::pow(double{numbers.data()[i]}, 2);
    return std::sqrt(sum);
  }

  double run(const Batch& batch, Recompute recompute = Recompute::none) {
    parameters_.zero();
    return gradients(reference, model_, batch, 0, recompute, parameters_.gradients());
  }
};
INSTANTIATE_TEST_SUITE_P(Golden, Gradients, ::testing::Values(1, 2));

// torch's own in float32 are within 8e-5 of those in float64, which are stored. The gradient of a key's bias is 0 but
// for roundings: it moves all scores of a query alike.
TEST_P(Gradients, AreTorchs) {
  const double loss = run(golden_.batch({0, 1}));
  EXPECT_NEAR(loss, golden_.losses[0], 1e-5 * golden_.losses[0]);
  double largest_of_all = 0;
  for (const auto& [name, expected] : golden_.gradients) {
    for (const float number : expected) {
      largest_of_all = std::max(largest_of_all, std::abs(double{number}));
    }
  }
  for (const Parameter& parameter : parameters_.all()) {
    const std::vector<float>& expected = golden_.gradients.at(parameter.name);
    double largest = 0, worst = 0;
    const float* const numbers = parameter.gradient.view().data();
    for (std::size_t i = 0; i < expected.size(); ++i) {
      largest = std::max(largest, std::abs(double{expected[i]}));
      worst = std::max(worst, std::abs(double{numbers[i]} - double{expected[i]}));
    }
    const bool vanishes = largest < 1e-9 * largest_of_all;
    EXPECT_EQ(vanishes, parameter.name.ends_with("k_proj.bias")) << parameter.name;
    EXPECT_LT(worst, vanishes ? 1e-6 * largest_of_all : 1e-4 * largest) << parameter.name;
  }
  EXPECT_EQ(parameters_.all().size(), golden_.gradients.size());
}

// Bit for bit: what is computed again is computed alike.
TEST_P(Gradients, AreTheSameComputedAgain) {
  const Batch batch = golden_.batch({0, 1, 2});
  const double loss = run(batch);
  std::vector<std::vector<float>> kept;
  for (const Parameter& parameter : parameters_.all()) {
    const auto numbers = parameter.gradient.view();
    kept.emplace_back(numbers.data(), numbers.data() + numbers.count());
  }
  EXPECT_EQ(run(batch, Recompute::blocks), loss);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const Parameter& parameter = parameters_.all()[i];
    EXPECT_EQ(std::memcmp(parameter.gradient.view().data(), kept[i].data(),
                          kept[i].size() * sizeof(float)),
              0)
        << parameter.name;
  }
}

// A batch that comes in parts is summed up; the weights of its tokens are those of the whole.
TEST_P(Gradients, AddUpOverPartsOfABatch) {
  const Batch whole = golden_.batch({0, 1});
  const double loss = run(whole);
  std::vector<double> length;
  for (const Parameter& parameter : parameters_.all()) length.push_back(norm_of(parameter));
  Batch first = golden_.batch({0}), second = golden_.batch({1});
  for (Batch* part : {&first, &second}) {
    part->next.weights.assign(part->next.weights.size(), whole.next.weights[0]);
  }
  double sum = run(first);
  sum += gradients(reference, model_, second, 0, Recompute::none, parameters_.gradients());
  EXPECT_NEAR(sum, loss, 1e-6 * loss);
  for (std::size_t i = 0; i < length.size(); ++i) {
    const Parameter& parameter = parameters_.all()[i];
    if (parameter.name.ends_with("k_proj.bias")) continue;
    EXPECT_NEAR(norm_of(parameter), length[i], 1e-4 * length[i]) << parameter.name;
  }
}

// The loss is a line over the smoothing, and its gradients are, too.
TEST_P(Gradients, AreOfTheSmoothedLoss) {
  const Batch batch = golden_.batch({0, 1});
  std::vector<double> losses, numbers;
  for (const float smoothing : {0.0f, 0.25f, 0.5f}) {
    parameters_.zero();
    losses.push_back(
        gradients(reference, model_, batch, smoothing, Recompute::none, parameters_.gradients()));
    numbers.push_back(parameters_.gradients().text.final_norm(0));
  }
  EXPECT_GT(std::abs(losses[2] - losses[0]), 1e-3);
  EXPECT_NE(numbers[2], numbers[0]);
  EXPECT_NEAR(losses[0] + losses[2], 2 * losses[1], 1e-5 * losses[1]);
  EXPECT_NEAR(numbers[0] + numbers[2], 2 * numbers[1], 1e-5 * (std::abs(numbers[1]) + 1e-2));
}

// What is frozen costs nothing, and what is learned beside it learns the same.
TEST_P(Gradients, AreTheSameWhereOthersAreFrozen) {
  const Batch batch = golden_.batch({0, 1});
  run(batch);
  for (const std::string part : {"language_model.model.layers.1.", "multi_modal_projector.",
                                 "vision_tower.encoder.layers.0.self_attn.k_proj.weight"}) {
    Checkpoint checkpoint(golden_.folder, golden_.config);
    Parameters some(checkpoint, golden_.config,
                    [&](const std::string& name) { return name.starts_with(part); });
    gradients(reference, model_, batch, 0, Recompute::none, some.gradients());
    EXPECT_FALSE(some.all().empty());
    for (const Parameter& parameter : some.all()) {
      for (const Parameter& whole : parameters_.all()) {
        if (whole.name != parameter.name) continue;
        EXPECT_TRUE(close(parameter.gradient.view(), whole.gradient.view(), kExact)) << whole.name;
      }
    }
  }
}

TEST_P(Gradients, RefuseAProjectorWithAnActivation) {
  model_.projector_activation = ProjectorActivation::gelu;
  EXPECT_THROW(run(golden_.batch({0})), ContractError);
}

TEST_P(Gradients, RefusePicturesThatNoTokenStandsFor) {
  Batch batch = golden_.batch({0, 1});
  batch.ids[0] = 5;
  EXPECT_THROW(run(batch), ContractError);
}

}  // namespace
}  // namespace paligemma
