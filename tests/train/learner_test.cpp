#include "train/learner.h"

#include <algorithm>
#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/dense.h"
#include "tests/support/learners.h"

namespace paligemma {
namespace {

using namespace test;

// docs/train/learner.md, "By hand": a model of zeros thinks every token as likely, and learns nothing.
TEST(Learner, WorkedExample) {
  TrainingGolden golden(1);
  Parameters parameters(golden.checkpoint, golden.config, [](const std::string&) { return true; });
  for (Parameter& parameter : parameters.all()) zero(reference, parameter.value.view());
  const auto learner = make_learner(reference, golden.config, parameters, {});
  const TrainingBatch batch = golden.batch({1});
  ASSERT_EQ(golden.config.text.vocabulary, 1856);
  EXPECT_NEAR(learner->loss(batch), std::log(1856), float_sum_of(1856).relative * std::log(1856));
  EXPECT_EQ(learner->learn(batch), learner->loss(batch));
  for (const auto& numbers : gradients_of(parameters)) {
    EXPECT_EQ(std::ranges::count(numbers, 0.0f), std::ssize(numbers));
  }
}

class LearnerOf : public ::testing::TestWithParam<WeightFormat> {};
INSTANTIATE_TEST_SUITE_P(, LearnerOf, kFormats,
                         [](const auto& named) { return std::string(name_of(named.param)); });

TEST_P(LearnerOf, SaysWhatGradientsSays) {
  for (const int version : {1, 2}) {
    SCOPED_TRACE(version);
    expect_what_gradients_says(reference, version, learnable(GetParam()), {.format = GetParam()});
    expect_what_gradients_says(
        reference, version, all_linear(),
        {.format = GetParam(),
         .rule = {.recompute = Recompute::blocks, .smoothing = 0.1f, .dropout = 0.2f, .seed = 3}});
  }
}

TEST_P(LearnerOf, LearnsAdaptersBesideFrozenWeights) {
  for (const int version : {1, 2}) expect_adapters_learn(reference, version, GetParam());
}

// Read anew each time: the parameters move and the learner says so.
TEST_P(LearnerOf, SeesParametersMove) {
  TrainingGolden golden(1);
  Parameters parameters(golden.checkpoint, golden.config, learnable(GetParam()));
  const auto learner = make_learner(reference, golden.config, parameters, {.format = GetParam()});
  const TrainingBatch batch = golden.batch({1});
  const double before = learner->loss(batch);
  zero(reference, parameters.all()[0].value.view());
  parameters.refresh();
  EXPECT_NE(learner->loss(batch), before);
}

// Beside what the words say; a validation does not ask it.
TEST(Learner, LearnsWithADenseHead) {
  TrainingGolden golden(1);
  const auto all = [](const std::string&) { return true; };
  Parameters by_learner(golden.checkpoint, golden.config, all),
      by_hand(golden.checkpoint, golden.config, all);
  TrainingBatch batch = golden.batch({0, 1});
  batch.dense = dense_targets_of(2 * golden.config.vision.patches());
  const Index C = batch.dense->columns(), D = golden.config.vision.width;
  HeadAndGradients head(C, D), expected(C, D);
  const auto learner = make_learner(reference, golden.config, by_learner, {.head = head.views()});
  const DenseHead views = expected.views();
  const Model<Reference, HostWeights<float>> model{reference, golden.config.vision,
                                                   golden.config.text, golden.config.image_token,
                                                   by_hand.weights()};
  EXPECT_EQ(learner->learn(batch),
            gradients(reference, model, batch, {}, by_hand.gradients(), &views));
  EXPECT_EQ(gradients_of(by_learner), gradients_of(by_hand));
  EXPECT_TRUE(close(head.dweight.view(), expected.dweight.view(), kExact));
  EXPECT_NE(head.dweight.view()(0, 0), 0);
  EXPECT_EQ(learner->loss(batch), loss_of(reference, model, batch));
}

TEST(Learner, LearnsNoBlocks) {
  for (const auto format : {WeightFormat::int8_blocks, WeightFormat::int4_blocks}) {
    TrainingGolden golden(1);
    Parameters parameters(golden.checkpoint, golden.config,
                          [](const std::string&) { return true; });
    EXPECT_THROW(make_learner(reference, golden.config, parameters, {.format = format}),
                 ContractError);
  }
}

TEST(Learner, KnowsTheProjectorsActivation) {
  TrainingGolden golden(1);
  golden.config.projector_activation = ProjectorActivation::gelu;
  Parameters parameters(golden.checkpoint, golden.config, learnable(WeightFormat::f32));
  const auto learner = make_learner(reference, golden.config, parameters, {});
  EXPECT_THROW(learner->learn(golden.batch({1})), ContractError);
  EXPECT_THROW(learner->loss(golden.batch({1})), ContractError);
}

}  // namespace
}  // namespace paligemma
