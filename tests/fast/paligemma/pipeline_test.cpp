// The whole model on Fast: the recorded run of transformers and the default model's answers, on every
// instruction set, and with quantised weights.
#include "fast/paligemma/pipeline.h"

#include <thread>

#include "tests/support/adapter_golden.h"
#include "tests/support/golden.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/logits.h"
#include "tests/support/rounded_pipeline.h"
#include "tests/support/side_by_side.h"
#include "tests/support/tiny_model.h"

namespace paligemma {
namespace {

using namespace test;

class FastPipeline : public OnEveryInstructionSet {};
INSTANTIATE_TEST_SUITE_P(, FastPipeline, kInstructionSets, instruction_set_name);

// With float weights nothing is rounded.
TEST_P(FastPipeline, EveryTapIsWithinItsTolerance) {
  for (int version : {1, 2}) {
    const Golden golden(version);
    const Pipeline<Fast> pipeline(fast, {.model = golden.folder, .dtype = WeightFormat::f32});
    Recorder recorder;
    const auto picture =
        pipeline.encode(read_image(golden.folder / "picture.png").view(), std::ref(recorder));
    const Reply answer =
        pipeline.generate(picture, golden.prompt, {.max_tokens = 32}, std::ref(recorder));
    for (const auto& [name, expected] : golden.taps) {
      ASSERT_EQ(recorder.taps.at(name).shape, expected.shape) << name;
      EXPECT_LE(largest_difference(recorder.taps.at(name).numbers, expected.numbers),
                expected.tolerance)
          << name;
    }
    EXPECT_EQ(ids_of(answer), golden.generated_ids);
  }
}

// What bf16 activations may do to the default model's logits, as on a GPU: about 0.1 is seen.
constexpr double kLogitErrorInBf16 = 0.25;

TEST_P(FastPipeline, SaysWhatTransformersSays) {
  const Pipeline<Fast> pipeline(fast, {.model = kTinyModel});
  for (int scene : {0, 7, 21, 42}) {
    if (rounds_to_bf16()) {
      static const Pipeline<Reference> expected(reference, {.model = kTinyModel});
      only_close_tokens_differ(expected, pipeline, scene, kLogitErrorInBf16);
    } else {
      says_what_transformers_says(pipeline, scene);
    }
  }
}

// Against the reference with the same quantised weights: what remains is x, rounded to 8 bits.
TEST_P(FastPipeline, OnlyCloseTokensDifferWithInt8Weights) {
  const Pipeline<Reference> expected(reference,
                                     {.model = kTinyModel, .dtype = WeightFormat::int8_blocks});
  const Pipeline<Fast> pipeline(fast, {.model = kTinyModel, .dtype = WeightFormat::int8_blocks});
  for (int scene : {1, 33}) only_close_tokens_differ(expected, pipeline, scene, 0.5);
}

TEST_P(FastPipeline, OnlyCloseTokensDifferWithInt4Weights) {
  const Pipeline<Reference> expected(reference,
                                     {.model = kTinyModel, .dtype = WeightFormat::int4_blocks});
  const Pipeline<Fast> pipeline(fast, {.model = kTinyModel, .dtype = WeightFormat::int4_blocks});
  for (int scene : {1, 33}) only_close_tokens_differ(expected, pipeline, scene, 0.5);
}

// Rows of a batch are summed in another order than a row alone. Few answers differ, if any.
TEST_P(FastPipeline, AnswersSideBySideAreThoseOfEachAlone) {
  const auto differing = [&](WeightFormat format, double logit_error) {
    const Pipeline<Fast> pipeline(fast, {.model = kTinyModel, .dtype = format});
    return only_close_answers_differ(pipeline, {0}, 8, logit_error);
  };
  EXPECT_EQ(differing(WeightFormat::f32, 1e-3), 0);
  EXPECT_LE(differing(WeightFormat::bf16, kLogitErrorInBf16), 1);
  EXPECT_LE(differing(WeightFormat::int8_blocks, 0.5), 1);
}

// What remains between Fast and plain loops with its roundings.
TEST_P(FastPipeline, RoundsWhatItSaysAndNothingElse) {
  for (const WeightFormat format :
       {WeightFormat::bf16, WeightFormat::int8_blocks, WeightFormat::int4_blocks}) {
    const PipelineOptions options{.model = kTinyModel, .dtype = format};
    const Pipeline<Rounded> expected(rounds_to_bf16() ? kRoundedAsFastBf16 : kRoundedAsFast,
                                     options);
    each_step_is_alike(expected, Pipeline<Fast>(fast, options), {0, 2, 5, 33},
                       is_quantized(format) ? StepByStep::kIn8Bits : StepByStep::kInBf16);
  }
}

TEST_P(FastPipeline, SaysWhatTransformersSaysWithAdapters) {
  expect_adapters_speak<Fast>([&] { return fast; });
}

// Everything that transformers was asked, by the kernels that users get.
class FastTinyModel : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Scene, FastTinyModel, ::testing::Range(0, 64));

TEST_P(FastTinyModel, SaysWhatTransformersSays) {
  static const Pipeline<Fast> pipeline(Fast(), {.model = kTinyModel, .dtype = WeightFormat::f32});
  says_what_transformers_says(pipeline, GetParam());
}

// Copies share weights and tokenizer; each has an executor of its own.
TEST(FastPipelines, AnswerSideBySide) {
  const Pipeline<Fast> pipeline(Fast(), {.model = kTinyModel, .dtype = WeightFormat::f32});
  std::vector<std::thread> callers;
  for (const int scene : {3, 11, 40}) {
    callers.emplace_back([scene, mine = pipeline.with(Fast({.threads = 2}))] {
      says_what_transformers_says(mine, scene);
    });
  }
  for (std::thread& caller : callers) caller.join();
}

}  // namespace
}  // namespace paligemma
