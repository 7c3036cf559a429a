#include "train/learner.h"

#include "fast/backward.h"
#include "fast/paligemma/model.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/learners.h"

namespace paligemma {
namespace {

using namespace test;

class FastLearner : public OnEveryInstructionSet {};
INSTANTIATE_TEST_SUITE_P(, FastLearner, kInstructionSets, instruction_set_name);

// As tests/train/learner_test.cpp; threads change no sum.
TEST_P(FastLearner, SaysWhatGradientsSays) {
  for (const auto format : {WeightFormat::bf16, WeightFormat::int8_blocks}) {
    SCOPED_TRACE(name_of(format));
    expect_what_gradients_says(fast, 1, learnable(format), {.format = format});
  }
  for (const auto format : {WeightFormat::f16, WeightFormat::int4_blocks}) {
    SCOPED_TRACE(name_of(format));
    expect_what_gradients_says(fast, 2, all_linear(),
                               {.format = format, .rule = {.smoothing = 0.1f}});
  }
}

TEST_P(FastLearner, LearnsAdaptersBesideFrozenWeights) {
  expect_adapters_learn(fast, 1, WeightFormat::int8_blocks);
  expect_adapters_learn(fast, 2, WeightFormat::bf16);
}

}  // namespace
}  // namespace paligemma
