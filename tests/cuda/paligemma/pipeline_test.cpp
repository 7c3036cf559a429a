// The whole model on a Stream. The recorded run of transformers and the default model's answers with
// float weights, where nothing is rounded, then with bf16.
#include "cuda/paligemma/pipeline.h"

#include "tests/support/adapter_golden.h"
#include "tests/support/cuda_test.h"
#include "tests/support/decoding_golden.h"
#include "tests/support/golden.h"
#include "tests/support/logits.h"
#include "tests/support/rounded_pipeline.h"
#include "tests/support/side_by_side.h"
#include "tests/support/tiny_model.h"

namespace paligemma {
namespace {

using namespace test;

struct GoldenRun {
  Recorder recorder;
  Reply answer;
};

template <class On>
GoldenRun run_golden(On on, const Golden& golden, WeightFormat dtype, bool with_taps) {
  const Pipeline<On> pipeline(std::move(on), {.model = golden.folder, .dtype = dtype});
  GoldenRun run;
  const TapListener listener = with_taps ? TapListener(std::ref(run.recorder)) : TapListener();
  const auto picture = pipeline.encode(read_image(golden.folder / "picture.png").view(), listener);
  run.answer = pipeline.generate(picture, golden.prompt, {.max_tokens = 32}, listener);
  return run;
}

class CudaPipelineOf : public CudaTest, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(PaliGemma, CudaPipelineOf, ::testing::Values(1, 2));

TEST_P(CudaPipelineOf, EveryTapIsWithinItsTolerance) {
  const Golden golden(GetParam());
  const GoldenRun run = run_golden(cuda::Stream(), golden, WeightFormat::f32, true);
  for (const auto& [name, expected] : golden.taps) {
    const auto found = run.recorder.taps.find(name);
    ASSERT_NE(found, run.recorder.taps.end()) << name << " was never tapped";
    ASSERT_EQ(found->second.shape, expected.shape) << name;
    EXPECT_LE(largest_difference(found->second.numbers, expected.numbers), expected.tolerance)
        << name;
  }
  EXPECT_EQ(ids_of(run.answer), golden.generated_ids);
}

// Without taps composites are fused.
TEST_P(CudaPipelineOf, EveryGreedyTokenIsTheSame) {
  const Golden golden(GetParam());
  const GoldenRun run = run_golden(cuda::Stream(), golden, WeightFormat::f32, false);
  EXPECT_EQ(ids_of(run.answer), golden.generated_ids);
}

// Beams are segments of one step there too, and rules are the host's. Every eighth case, as emulation is slow.
TEST_P(CudaPipelineOf, ByRulesAndBeamsSaysWhatTransformersSays) {
  const Golden golden(GetParam());
  const Pipeline<cuda::Stream> pipeline(cuda::Stream(),
                                        {.model = golden.folder, .dtype = WeightFormat::f32});
  const GoldenPictures<cuda::Stream> pictures(pipeline, golden);
  std::size_t i = 0;
  for (const auto& given : decoding_cases(golden)) {
    if (given["end_tokens"] == nlohmann::json{1} && i++ % 8 == 0) {
      says_what_was_recorded(pipeline, pictures, given);
    }
  }
}

TEST_P(CudaPipelineOf, ABatchSaysWhatTransformersSays) {
  const Golden golden(GetParam());
  const Pipeline<cuda::Stream> pipeline(cuda::Stream(),
                                        {.model = golden.folder, .dtype = WeightFormat::f32});
  batch_says_what_was_recorded(pipeline, golden);
}

// Where every access is looked at, one scene is enough.
int scenes([[maybe_unused]] int all) {
#ifdef __SANITIZE_ADDRESS__
  return 1;
#else
  return cuda::is_checked() ? 1 : all;
#endif
}

// Everything that transformers was asked.
class CudaTinyModel : public CudaTest, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Scene, CudaTinyModel, ::testing::Range(0, scenes(64)));

TEST_P(CudaTinyModel, SaysWhatTransformersSays) {
  static const Pipeline<cuda::Stream> pipeline(cuda::Stream(),
                                               {.model = kTinyModel, .dtype = WeightFormat::f32});
  says_what_transformers_says(pipeline, GetParam());
}

// What bf16 activations may do to the default model's logits: eight blocks, each of which rounds what enters its
// products by up to 2^-8, move them by about 0.1.
constexpr double kLogitError = 0.25;

// With its own bf16 weights: the reference rounds nothing else. Wherever that is surer than twice the error, the
// token is the same; behind a closer one answers may go different ways.
class CudaTinyModelWithBf16 : public CudaTest, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Scene, CudaTinyModelWithBf16, ::testing::Range(0, scenes(16)));

TEST_P(CudaTinyModelWithBf16, OnlyCloseTokensDiffer) {
  static const Pipeline<Reference> expected(reference, {.model = kTinyModel});
  static const Pipeline<cuda::Stream> pipeline(cuda::Stream(), {.model = kTinyModel});
  only_close_tokens_differ(expected, pipeline, GetParam(), kLogitError);
}

class CudaPipeline : public CudaTest {};

TEST_F(CudaPipeline, AnswersSideBySideAreThoseOfEachAlone) {
  for (const auto& [format, logit_error] :
       {std::pair(WeightFormat::f32, 1e-3), std::pair(WeightFormat::bf16, kLogitError)}) {
    if (cuda::is_checked() && format == WeightFormat::f32) continue;  // slow: one of the two
    const Pipeline<cuda::Stream> pipeline(cuda::Stream(), {.model = kTinyModel, .dtype = format});
    const Index most = cuda::is_checked() ? 2 : 3;
    const int differing = only_close_answers_differ(pipeline, {0}, most, logit_error);
    EXPECT_LE(differing, format == WeightFormat::bf16 ? 1 : 0);
  }
}

// Greedy, drawn and contrastive answers of several rows a step.
TEST_F(CudaPipeline, OtherWaysToChooseSayWhatTheReferenceSays) {
  const Golden golden(1);
  const PipelineOptions options{.model = golden.folder, .dtype = WeightFormat::f32};
  const Pipeline<Reference> expected(reference, options);
  const Pipeline<cuda::Stream> pipeline(cuda::Stream(), options);
  const auto image = read_image(golden.folder / "picture.png");
  const auto there = expected.encode(image.view());
  const auto here = pipeline.encode(image.view());
  for (const ReplyOptions& how :
       {ReplyOptions{.max_tokens = 4, .contrast = {0.6f, 4}},
        ReplyOptions{.max_tokens = 4, .sampler = {.temperature = 1.5f}, .answers = 3}}) {
    const Reply want = expected.generate(there, golden.prompt, how);
    const Reply got = pipeline.generate(here, golden.prompt, how);
    EXPECT_EQ(ids_of(got), ids_of(want));
    ASSERT_EQ(got.others.size(), want.others.size());
    for (std::size_t i = 0; i < got.others.size(); ++i) {
      EXPECT_EQ(ids_of(got.others[i]), ids_of(want.others[i]));
    }
  }
}

// Prefill by kernels for many tokens, decoding by the composites that fused kernels stand for.
TEST_F(CudaPipeline, SaysWhatTransformersSaysWithAdapters) {
  expect_adapters_speak<cuda::Stream>([] { return cuda::Stream(); });
}

// What remains between kernels and plain loops with their roundings.
TEST_F(CudaPipeline, RoundsWhatItSaysAndNothingElse) {
  const PipelineOptions options{.model = kTinyModel};
  const std::vector<int> some{0, 2, 5, 33};
  each_step_is_alike(Pipeline<Rounded>(kRoundedAsCuda, options),
                     Pipeline<cuda::Stream>(cuda::Stream(), options),
                     cuda::is_emulated() ? std::vector{0} : some, StepByStep::kInBf16);
}

}  // namespace
}  // namespace paligemma
