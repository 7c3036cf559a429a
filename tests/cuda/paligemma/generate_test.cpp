// One decoded token as a graph, against the composites that it replaces and against the reference.
#include "cuda/paligemma/generate.h"

#include "cuda/paligemma/pipeline.h"
#include "cuda/paligemma/weights.h"
#include "tests/support/cuda_test.h"
#include "tests/support/golden.h"
#include "tests/support/logits.h"
#include "tests/support/tiny_model.h"

namespace paligemma {
namespace {

using namespace test;

class CudaGenerateOf : public CudaTest, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(PaliGemma, CudaGenerateOf, ::testing::Values(1, 2));

// The first step runs as it is queued, the second is recorded, the rest are replayed.
TEST_P(CudaGenerateOf, AReplayedTokenIsWhatTheReferenceComputes) {
  const GoldenModel golden(GetParam());
  const Golden& recorded = golden.golden;
  const Index T = golden.prefix();
  constexpr Index kSteps = 12;
  Session<Reference> expected(golden.model.text, T, T + kSteps);
  forward(golden.model, recorded.prompt_ids, golden.image_rows.view(), T, expected, NoTap());

  // The prefix's keys and values are the reference's, so that nothing differs but the decoded tokens.
  const cuda::Stream stream(cuda::Math::float32);
  Session<cuda::Stream> session(golden.model.text, T, T + kSteps);
  for (Index layer = 0; layer < golden.model.text.layers; ++layer) {
    copy_from_host<float, 3>(stream, expected.cache.keys(layer), session.cache.keys(layer));
    copy_from_host<float, 3>(stream, expected.cache.values(layer), session.cache.values(layer));
  }
  session.cache.advance(T);

  Checkpoint checkpoint(recorded.folder, golden.config);
  cuda::Stream loader(cuda::Math::float32);
  auto placed = cuda::place_weights<float>(loader, checkpoint, golden.config, {});
  const Model<cuda::Stream, cuda::DeviceWeights<float>> model{
      cuda::Stream(cuda::Math::float32), golden.config.vision, golden.config.text,
      std::move(placed.weights), std::move(placed.memory)};
  const auto largest = largest_magnitude(recorded.taps.at("logits").numbers);
  for (Index step = 1; step < kSteps; ++step) {
    const TokenId id = recorded.generated_ids[static_cast<std::size_t>(step - 1)];
    const Choice want = decode(golden.model, id, T, expected, {}, step);
    const Choice got = decode(model, id, T, session, {}, step);
    EXPECT_EQ(got.id, want.id) << "step " << step;
    EXPECT_NEAR(got.log_probability, want.log_probability, 1e-4) << "step " << step;
    const auto logits = to_host(stream, session.scratch.logits.view());
    // As the reference may differ from transformers (docs/numerics.md).
    EXPECT_TRUE(close(logits.view(), expected.scratch.logits.view(), {0, 1e-4 * largest}))
        << "step " << step;
  }
  EXPECT_EQ(session.cache.length(), expected.cache.length());
  EXPECT_TRUE(session.decode.graph.has_value());
}

TEST_P(CudaGenerateOf, DrawsTheTokensThatTheReferenceDraws) {
  const Golden golden(GetParam());
  const auto image = read_image(golden.folder / "picture.png");
  const PipelineOptions options{.model = golden.folder, .dtype = WeightFormat::f32};
  const Pipeline<Reference> expected(reference, options);
  const Pipeline<cuda::Stream> pipeline(cuda::Stream(), options);
  const auto there = expected.encode(image.view());
  const auto here = pipeline.encode(image.view());
  for (std::uint64_t seed : {1, 2}) {
    const AnswerOptions draw{
        .max_tokens = 4,
        .sampler = {.temperature = 0.8f, .top_k = 20, .top_p = 0.95f, .seed = seed}};
    EXPECT_EQ(ids_of(pipeline.generate(here, golden.prompt, draw)),
              ids_of(expected.generate(there, golden.prompt, draw)))
        << "seed " << seed;
  }
}

class CudaGenerate : public CudaTest {};

TEST_F(CudaGenerate, ASecondAnswerStartsAnew) {
  const Pipeline<cuda::Stream> pipeline(cuda::Stream(), {.model = kTinyModel});
  const auto picture = pipeline.encode(scene_picture(0).view());
  const auto ask = [&](const std::string& prompt) {
    return ids_of(pipeline.generate(picture, prompt, {}));
  };
  const auto caption = ask("caption en");
  EXPECT_NE(ask("detect red circle"), caption);
  EXPECT_EQ(ask("caption en"), caption);
}

TEST_F(CudaGenerate, LoadingSaysHowFarItIs) {
  std::size_t calls = 0, last = 0, all = 0;
  const Pipeline<cuda::Stream> pipeline(
      cuda::Stream(), {.model = kTinyModel, .on_load = [&](std::size_t done, std::size_t total) {
                         EXPECT_GT(done, last);
                         last = done, all = total, ++calls;
                       }});
  EXPECT_GT(calls, 10u);
  EXPECT_EQ(last, all);
}

}  // namespace
}  // namespace paligemma
