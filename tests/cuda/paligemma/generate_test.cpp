// One decoded token as a graph, against the composites that it replaces and against the reference.
#include "cuda/paligemma/generate.h"

#include <optional>
#include <string>
#include <vector>

#include "cuda/paligemma/model.h"
#include "cuda/paligemma/pipeline.h"
#include "cuda/paligemma/weights.h"
#include "tests/support/cuda_test.h"
#include "tests/support/golden.h"
#include "tests/support/logits.h"
#include "tests/support/tiny_model.h"

namespace paligemma {
namespace {

using namespace test;

// A golden model in float, here and on the device, and what both make of the same tokens.
class BothModels {
 public:
  static constexpr Index kRoom = 16;  // behind the prefix

  explicit BothModels(int version, const std::vector<Index>& windows = {}) : golden_(version) {
    cuda::Stream stream(cuda::Math::float32);
    Checkpoint checkpoint(golden_.golden.folder, golden_.config);
    auto placed = cuda::place_weights<float>(stream, checkpoint, golden_.config, {});
    if (!windows.empty()) golden_.model.text.window = windows;
    there_.emplace(Model<cuda::Stream, cuda::DeviceWeights<float>>{
        std::move(stream), golden_.config.vision, golden_.model.text, golden_.config.image_token,
        std::move(placed.weights), std::move(placed.memory)});
    const Index T = golden_.prefix();
    expected_.emplace(golden_.model.text, T, T + kRoom);
    session_.emplace(golden_.model.text, T, T + kRoom);
  }

  Index prefix() const { return golden_.prefix(); }
  TokenId recorded(Index step) const { return golden_.golden.generated_ids[step]; }
  bool has_graph() const { return session_->decode.graph.has_value(); }

  // The prompt, of which `prefix` tokens see one another both ways.
  void read_prompt(Index prefix) {
    const auto& ids = golden_.golden.prompt_ids;
    forward(golden_.model, ids, golden_.image_rows.view(), prefix, *expected_, NoTap());
    const auto rows = to_device(there_->on, std::as_const(golden_.image_rows).view());
    forward(*there_, ids, std::as_const(rows).view(), prefix, *session_, NoTap());
    expect_the_same_logits();
  }

  // One more token, and the reference's choice.
  TokenId decode(TokenId id, Index prefix, const SamplerOptions& options, Index step) {
    SCOPED_TRACE("step " + std::to_string(step) + ", token " + std::to_string(id));
    const Choice want = paligemma::decode(golden_.model, id, prefix, *expected_, options, step);
    const Choice got = cuda::decode(*there_, id, prefix, *session_, options, step);
    EXPECT_EQ(got.id, want.id);
    EXPECT_NEAR(got.log_probability, want.log_probability, 1e-4);
    EXPECT_EQ(session_->cache.length(session_->sequence),
              expected_->cache.length(expected_->sequence));
    expect_the_same_logits();
    return want.id;
  }

  // Another sequence has the same rows, and keeps them.
  void fork() {
    expected_->cache.fork(expected_->sequence);
    session_->cache.fork(session_->sequence);
  }

  // As if nothing stood behind the first tokens; it does, though.
  void go_back_to(Index length) {
    expected_->cache.truncate(expected_->sequence, length);
    session_->cache.truncate(session_->sequence, length);
  }

 private:
  void expect_the_same_logits() {
    const auto logits = to_host(there_->on, session_->scratch.logits.view());
    // As the reference may differ from transformers (docs/numerics.md).
    const double largest = largest_magnitude(golden_.golden.taps.at("logits").numbers);
    EXPECT_TRUE(close(logits.view(), expected_->scratch.logits.view(), {0, 1e-4 * largest}));
  }

  GoldenModel golden_;
  std::optional<Model<cuda::Stream, cuda::DeviceWeights<float>>> there_;
  std::optional<Session<Reference>> expected_;
  std::optional<Session<cuda::Stream>> session_;
};

class CudaGenerateOf : public CudaTest, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(PaliGemma, CudaGenerateOf, ::testing::Values(1, 2));

// The first step runs as it is queued, the second is recorded, the rest are replayed.
TEST_P(CudaGenerateOf, AReplayedTokenIsWhatTheReferenceComputes) {
  BothModels models(GetParam());
  models.read_prompt(models.prefix());
  for (Index step = 1; step < 12; ++step) {
    models.decode(models.recorded(step - 1), models.prefix(), {}, step);
    EXPECT_EQ(models.has_graph(), step > 1);
  }
}

// Each of the three that stand in device memory may be another than the last token left there.
TEST_P(CudaGenerateOf, ATokenAPositionOrAStepThatDoesNotFollowIsTaken) {
  BothModels models(GetParam());
  const Index T = models.prefix();
  const SamplerOptions draw{.temperature = 2, .seed = 5};
  models.read_prompt(T);
  TokenId next = 7;
  for (Index step : {1, 2, 3}) next = models.decode(next, T, draw, step);
  next = models.decode(next + 1, T, draw, 4);
  next = models.decode(next, T, draw, 9);
  models.go_back_to(T + 1);
  models.decode(next, T, draw, 10);
}

// Windows of many sizes in one model; the answer and most of the prompt look back no further.
TEST_P(CudaGenerateOf, EachLayerHasItsOwnWindow) {
  const bool first = GetParam() == 1;
  BothModels models(GetParam(), first ? std::vector<Index>{5, 2, kNoWindow}
                                      : std::vector<Index>{9, kNoWindow, 3, 6});
  constexpr Index kPrefix = 4;
  models.read_prompt(kPrefix);
  for (Index step = 1; step < 4; ++step) {
    models.decode(models.recorded(step - 1), kPrefix, {}, step);
  }
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
    const ReplyOptions draw{
        .max_tokens = 4,
        .sampler = {.temperature = 0.8f, .top_k = 20, .top_p = 0.95f, .seed = seed}};
    EXPECT_EQ(ids_of(pipeline.generate(here, golden.prompt, draw)),
              ids_of(expected.generate(there, golden.prompt, draw)))
        << "seed " << seed;
  }
}

class CudaGenerate : public CudaTest {};

// What is recorded does not outlive its reason. Whether a token belongs to the prefix shows in the layers
// that have a window.
TEST_F(CudaGenerate, AnotherPrefixOrOtherOptionsAreRecordedAnew) {
  BothModels models(2);
  const Index T = models.prefix();
  models.read_prompt(T);
  Index step = 0;
  const auto tokens = [&](int count, Index prefix, const SamplerOptions& options) {
    models.go_back_to(T);
    TokenId next = 7;
    for (int i = 0; i < count; ++i) {
      next = models.decode(next, prefix, options, ++step);
      EXPECT_EQ(models.has_graph(), i > 0);
    }
  };
  tokens(3, T, {});
  tokens(1, T + 1, {});
  tokens(3, T, {});
  tokens(3, T, {.temperature = 2});
  tokens(3, T, {.temperature = 2, .seed = 1});
  tokens(3, T, {.temperature = 2, .top_k = 2, .seed = 1});
}

// A fork makes the next token's rows lie elsewhere.
TEST_F(CudaGenerate, KeysThatLieElsewhereAreRecordedAnew) {
  BothModels models(2);
  const Index T = models.prefix();
  models.read_prompt(T);
  TokenId next = 7;
  for (Index step = 1; step < 7; ++step) {
    if (step == 4) models.fork();
    next = models.decode(next, T, step < 6 ? SamplerOptions{} : SamplerOptions{.temperature = 2},
                         step);
    EXPECT_EQ(models.has_graph(), step != 1 && step != 4 && step != 6);
  }
}

// Short, longer, with other options, and as at first: each as if nothing had been asked before, bit for bit.
TEST_F(CudaGenerate, ASecondAnswerStartsAnew) {
  const PipelineOptions options{.model = kTinyModel};
  const Pipeline<cuda::Stream> pipeline(cuda::Stream(), options);
  const auto picture = pipeline.encode(scene_picture(0).view());
  const auto ask = [&](const Pipeline<cuda::Stream>& asked, const std::string& prompt,
                       const ReplyOptions& how) {
    const auto answer = asked.generate(picture, prompt, how);
    std::vector<std::pair<TokenId, float>> said;
    for (const auto& token : answer.tokens) said.emplace_back(token.id, token.log_probability);
    return said;
  };
  const ReplyOptions greedy{.max_tokens = 4};
  const ReplyOptions draw{.max_tokens = 5, .sampler = {.temperature = 2, .seed = 1}};
  for (const auto& [prompt, how] : std::vector<std::pair<std::string, ReplyOptions>>{
           {"ocr", greedy}, {"detect red circle", draw}, {"ocr", draw}, {"ocr", greedy}}) {
    const Pipeline<cuda::Stream> fresh(cuda::Stream(), options);
    EXPECT_EQ(ask(pipeline, prompt, how), ask(fresh, prompt, how)) << prompt;
  }
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
