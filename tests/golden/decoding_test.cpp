// What transformers says by other rules than greedy: tests/golden/README.md, decoding.json.
#include <cmath>

#include "fast/core/fast.h"
#include "fast/paligemma/model.h"
#include "fast/paligemma/pipeline.h"
#include "tests/support/decoding_golden.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

// Every case of both checkpoints that ends as their answers do.
template <class On>
int check_pipeline(const On& on) {
  int checked = 0;
  for (const int version : {1, 2}) {
    const Golden golden(version);
    const Pipeline<On> pipeline(on, {.model = golden.folder, .dtype = WeightFormat::f32});
    const GoldenPictures<On> pictures(pipeline, golden);
    for (const json& given : decoding_cases(golden)) {
      if (given["end_tokens"] != json{1}) continue;
      says_what_was_recorded(pipeline, pictures, given);
      ++checked;
    }
  }
  return checked;
}

TEST(Decoding, IsAsTransformersHasIt) { EXPECT_EQ(check_pipeline(reference), 144); }
TEST(Decoding, IsTheSameFast) { EXPECT_EQ(check_pipeline(Fast()), 144); }

template <class On>
void check_batches(const On& on) {
  for (const int version : {1, 2}) {
    const Golden golden(version);
    batch_says_what_was_recorded(
        Pipeline<On>(on, {.model = golden.folder, .dtype = WeightFormat::f32}), golden);
  }
}

TEST(Decoding, OfABatchIsAsTransformersHasIt) { check_batches(reference); }
TEST(Decoding, OfABatchIsTheSameFast) { check_batches(Fast()); }

// The logits of each of n tokens may be off by as much as README.md says.
double score_rounding(const Golden& golden, std::size_t n, float length_penalty) {
  const auto length = static_cast<double>(n);
  return golden.taps.at("logits").tolerance * length / std::pow(length, length_penalty);
}

// Every case of both checkpoints that has beams, with scores; of some the end tokens are others.
template <class On>
int check_beams(const On& on) {
  int checked = 0;
  for (const int version : {1, 2}) {
    const GoldenModel golden(version);
    const Tokenizer tokenizer(golden.golden.folder, golden.config.image_token,
                              static_cast<TokenId>(golden.config.text.vocabulary));
    const Model<On, HostWeights<float>> model{on, golden.model.vision, golden.model.text,
                                              golden.config.image_token, golden.model.weights};
    for (const json& given : decoding_cases(golden.golden)) {
      if (!given.contains("num_beams") || given.contains("pictures") || given.contains("stop")) {
        continue;
      }
      const auto prompt = make_prompt(tokenizer, given["prompt"].get<std::string>(),
                                      static_cast<int>(golden.image_tokens()));
      const auto T = static_cast<Index>(prompt.ids.size());
      const BeamSearchOptions how{.beams = beams_of(given),
                                  .max_tokens = given["steps"],
                                  .end_tokens = given["end_tokens"],
                                  .rules = rules_of(given)};
      Session<On> session(model.text, T, T + how.max_tokens, how.beams.beams);
      const auto found =
          beam_search(model, golden.image_rows.view(), prompt.ids, session, how, NoTap());
      const json& answers = given["answers"];
      EXPECT_GE(found.size(), answers.size()) << given;
      for (std::size_t i = 0; i < answers.size() && i < found.size(); ++i) {
        const auto ids = ids_of(found[i].tokens);
        EXPECT_EQ(ids, answers[i]["ids"]) << given;
        EXPECT_NEAR(found[i].score, answers[i]["score"].get<double>(),
                    score_rounding(golden.golden, ids.size(), how.beams.length_penalty))
            << given;
      }
      ++checked;
    }
  }
  return checked;
}

TEST(Decoding, ByBeamsHasTransformersScores) { EXPECT_EQ(check_beams(reference), 144); }
TEST(Decoding, ByBeamsHasTheSameScoresFast) { EXPECT_EQ(check_beams(Fast()), 144); }

}  // namespace
}  // namespace paligemma
