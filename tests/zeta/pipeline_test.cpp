#include "zeta/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "tensor/errors.h"
#include "tests/support/compare.h"
#include "tests/support/error_text.h"
#include "tests/support/zeta_folder.h"

namespace paligemma {
namespace {

using namespace test;
using Ids = std::vector<TokenId>;

class ZetaPipeline : public ::testing::Test {
 protected:
  void write(const std::string& of_case, const nlohmann::ordered_json& changes = {}) {
    write_zeta_model(folder_.path(), of_case, changes);
  }
  std::unique_ptr<zeta::Pipeline> open(std::optional<Index> memory_rows = {},
                                       std::optional<WeightFormat> dtype = {}) const {
    return zeta::open_pipeline(
        reference, {.model = folder_.path(), .dtype = dtype, .memory_rows = memory_rows});
  }
  // Sequence b of an input.
  static Ids ids(const std::string& of_case, const std::string& name, Index b) {
    const NpyArray array = read_zeta(of_case, "in/" + name);
    const Index T = array.shape[1];
    return {array.numbers.begin() + b * T, array.numbers.begin() + (b + 1) * T};
  }
  // Picture b, channels last.
  static Buffer<float, 3> picture(Index b) {
    const NpyArray array = read_zeta("palme", "in/image");
    const Index S = array.shape[2];
    Buffer<float, 3> pixels({S, S, 3}, unwritten);
    for (Index i = 0; i < S * S * 3; ++i) {
      pixels.view().data()[i] =
          array.numbers[static_cast<std::size_t>(b * S * S * 3 + i % 3 * S * S + i / 3)];
    }
    return pixels;
  }
  // Logits of sequence b are as the archive has them.
  static void expect_logits(View<const float, 2> logits, const std::string& of_case,
                            const std::string& name, Index b) {
    const NpyArray all = read_zeta(of_case, "out/" + name);
    const double tolerance = read_zeta(of_case, "tol/" + name).numbers[0];
    const View<const float, 2> expected(all.numbers.data() + b * logits.count(), logits.shape());
    EXPECT_TRUE(close(logits, expected, {0, tolerance}));
  }
  static Ids words_of(const std::vector<GeneratedToken>& tokens) {
    Ids ids;
    for (const GeneratedToken& token : tokens) ids.push_back(token.id);
    return ids;
  }
  static bool go_on(const GeneratedToken&) { return true; }

  TemporaryFolder folder_;
};

// docs/zeta/pipeline.md, "In five lines".
TEST_F(ZetaPipeline, WorkedExample) {
  write("palme");
  const auto model = open();
  double loss = 0;
  for (Index b = 0; b < 2; ++b) {
    EXPECT_TRUE(model->look_at(picture(b).view(), {}).empty());
    const Ids text = ids("palme", "text", b);
    expect_logits(model->logits(text, {}).view(), "palme", "logits", b);
    loss += model->loss(text) / 2;

    const NpyArray words = read_zeta("palme", "out/generated");
    const Ids expected(words.numbers.begin() + 8 * b, words.numbers.begin() + 8 * (b + 1));
    const auto tokens = model->generate(std::span(text).first(3), {.max_tokens = 8}, go_on, {});
    EXPECT_EQ(words_of(tokens), expected);
  }
  EXPECT_NEAR(loss, read_zeta("palme", "out/loss").numbers[0],
              read_zeta("palme", "tol/loss").numbers[0]);
}

TEST_F(ZetaPipeline, HandsOutTaps) {
  write("palme");
  const auto model = open();
  std::map<std::string, std::vector<Index>> taps;
  const auto listener = [&](const std::string& name, std::span<const float>,
                            std::span<const Index> shape) {
    taps[name] = {shape.begin(), shape.end()};
  };
  model->look_at(picture(0).view(), listener);
  model->logits(Ids{1, 2, 3}, listener);
  EXPECT_EQ(taps.at("img/encoded"), (std::vector<Index>{9, 24}));
  EXPECT_EQ(taps.at("llm/logits"), (std::vector<Index>{3, 29}));
  EXPECT_EQ(taps.at("llm/block01/attention"), (std::vector<Index>{3, 2, 9}));
}

TEST_F(ZetaPipeline, TellsOfEachWord) {
  write("palme");
  const auto model = open();
  model->look_at(picture(0).view(), {});
  Index heard = 0;
  const auto tokens = model->generate(Ids{1, 2}, {.max_tokens = 8},
                                      [&](const GeneratedToken&) { return ++heard < 3; }, {});
  EXPECT_EQ(tokens.size(), 3u);
  EXPECT_LT(tokens[0].log_probability, 0);
  const auto ended =
      model->generate(Ids{1, 2}, {.max_tokens = 8, .end_tokens = {tokens[1].id}}, go_on, {});
  EXPECT_LE(ended.size(), 2u);
}

// Segments of 5 words that remember all before are the whole text: norms stand behind the sums, and ALiBi
// counts from the oldest memory.
TEST_F(ZetaPipeline, ATextIsCutIntoSegmentsThatRemember) {
  write("mems_alibi", {{"max_seq_len", 5}});
  const auto model = open();
  for (Index b = 0; b < 2; ++b) {
    expect_logits(model->logits(ids("mems_alibi", "x", b), {}).view(), "mems_alibi", "whole", b);
  }
  // Without memories the model looks at all words at once, as it has no learned positions.
  expect_logits(open(0)->logits(ids("mems_alibi", "x", 0), {}).view(), "mems_alibi", "whole", 0);
  // With few of them it forgets.
  const auto few = open(1)->logits(ids("mems_alibi", "x", 0), {});
  const auto all = model->logits(ids("mems_alibi", "x", 0), {});
  EXPECT_EQ(few.view()(4, 0), all.view()(4, 0));
  EXPECT_NE(few.view()(10, 0), all.view()(10, 0));
}

// Three rows are kept, and each layer reads what the one below it left.
TEST_F(ZetaPipeline, MemoriesAreCutAndShifted) {
  write("mems_shifted", {{"max_seq_len", 4}});
  const auto model = open();
  for (Index b = 0; b < 2; ++b) {
    const auto logits = model->logits(ids("mems_shifted", "x", b), {});
    expect_logits(logits.view().rows(0, 4), "mems_shifted", "segment0", b);
    expect_logits(logits.view().rows(4, 8), "mems_shifted", "segment1", b);
    expect_logits(logits.view().rows(8, 11), "mems_shifted", "segment2", b);
  }
}

TEST_F(ZetaPipeline, SegmentsGoOnWhereATextIsGenerated) {
  write("mems_alibi", {{"max_seq_len", 24}});
  const Ids text = ids("mems_alibi", "x", 0);
  for (const float temperature : {0.0f, 1.0f}) {
    for (const std::size_t start : {3u, 4u, 5u, 10u, 11u}) {
      const auto prompt = std::span(text).first(start);
      zeta::TextOptions options{.max_tokens = 13};
      options.sampler.temperature = temperature;
      write("mems_alibi", {{"max_seq_len", 24}});
      const Ids whole = words_of(open(0)->generate(prompt, options, go_on, {}));
      write("mems_alibi", {{"max_seq_len", 5}});
      EXPECT_EQ(words_of(open(40)->generate(prompt, options, go_on, {})), whole) << start;
      EXPECT_EQ(whole.size(), 13u);
    }
  }
}

// Each word is the likeliest after all before it, which is what logits() says of them in segments: also where
// memories are shifted down, and where memory tokens stand before each segment.
TEST_F(ZetaPipeline, GeneratesWhatItsLogitsSay) {
  for (const auto& [of_case, changes] :
       {std::pair<std::string, nlohmann::ordered_json>{"mems_shifted", {{"max_seq_len", 4}}},
        {"memory_tokens_alibi", {{"max_seq_len", 4}, {"max_mem_len", 5}}}}) {
    write(of_case, changes);
    const auto model = open();
    Ids text = {3, 1, 4, 1, 5};
    const auto words = words_of(model->generate(text, {.max_tokens = 8}, go_on, {}));
    for (const TokenId word : words) {
      const auto all = model->logits(text, {});
      const auto last = std::as_const(all).view().row(all.view().size(0) - 1);
      const float* best = std::max_element(last.data(), last.data() + last.size(0));
      EXPECT_EQ(word, best - last.data()) << of_case << " after " << text.size();
      text.push_back(word);
    }
  }
}

// The one row that is remembered is the last word's, not one of the memory tokens' in front.
TEST_F(ZetaPipeline, WordsBehindMemoryTokensAreRemembered) {
  write("memory_tokens_alibi", {{"max_seq_len", 4}, {"max_mem_len", 1}});
  const auto model = open();
  const auto after = [&](TokenId last) {
    const auto all = model->logits(Ids{3, 1, 4, last, 5}, {});
    return all.view()(4, 0);
  };
  EXPECT_NE(after(1), after(2));
}

TEST_F(ZetaPipeline, ScoresClasses) {
  write("vit");
  const auto scores = open()->look_at(picture(0).view(), {});
  EXPECT_EQ(scores.size(), 5u);
}

TEST_F(ZetaPipeline, WeightsAreOfTheTypeThatIsAskedFor) {
  write("palme");
  EXPECT_EQ(open()->dtype(), WeightFormat::f32);
  EXPECT_EQ(open({}, WeightFormat::bf16)->dtype(), WeightFormat::bf16);
  EXPECT_EQ(open({}, WeightFormat::f16)->dtype(), WeightFormat::f16);
  EXPECT_THROW(open({}, WeightFormat::int8_blocks), std::runtime_error);
}

TEST_F(ZetaPipeline, SaysWhatIsTooLong) {
  write("loss_and_generate");  // learned positions, 8 of them
  const auto model = open();
  EXPECT_TRUE(
      holds(error_text<PromptError>([&] { model->logits(Ids(9, 1), {}); }), "9 tokens", "8"));
  EXPECT_EQ(model->logits(Ids(8, 1), {}).view().size(0), 8);
  EXPECT_TRUE(std::isnan(model->loss(Ids{1})));
}

TEST_F(ZetaPipeline, SaysWhatIsMissing) {
  EXPECT_THROW(open(), NotFoundError);
  write("palme");
  std::filesystem::remove(folder_ / "model.safetensors");
  EXPECT_THROW(open(), NotFoundError);
}

}  // namespace
}  // namespace paligemma
