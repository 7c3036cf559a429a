// What transformers says by other rules than greedy: tests/golden/README.md, decoding.json.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "fast/core/fast.h"
#include "fast/paligemma/model.h"
#include "fast/paligemma/pipeline.h"
#include "paligemma/beam_search.h"
#include "paligemma/pipeline.h"
#include "processing/image_file.h"
#include "tests/support/golden.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

TokenRules rules_of(const json& given) {
  TokenRules rules;
  rules.repetition_penalty = given.value("repetition_penalty", 1.0f);
  rules.no_repeat_ngram = given.value("no_repeat_ngram_size", 0);
  rules.suppressed = given.value("suppress_tokens", std::set<TokenId>{});
  return rules;
}

std::vector<TokenId> ids_of(const Reply& reply) {
  std::vector<TokenId> ids;
  for (const GeneratedToken& token : reply.tokens) ids.push_back(token.id);
  return ids;
}

// Every case of both checkpoints that has no beams.
template <class On>
int check_rules(const On& on) {
  int checked = 0;
  for (const int version : {1, 2}) {
    const Golden golden(version);
    const Pipeline<On> pipeline(on, {.model = golden.folder, .dtype = WeightFormat::f32});
    const auto picture = pipeline.encode(read_image(golden.folder / "picture.png").view());
    for (const json& given : json::parse(std::ifstream(golden.folder / "decoding.json"))) {
      if (given.contains("num_beams")) continue;
      ReplyOptions how;
      how.max_tokens = given["steps"];
      how.rules = rules_of(given);
      const Reply reply = pipeline.generate(picture, given["prompt"].get<std::string>(), how);
      EXPECT_EQ(ids_of(reply), given["answers"][0]["ids"]) << given;
      ++checked;
    }
  }
  return checked;
}

TEST(Decoding, ByRulesIsAsTransformersHasIt) { EXPECT_EQ(check_rules(reference), 36); }
TEST(Decoding, ByRulesIsTheSameFast) { EXPECT_EQ(check_rules(Fast()), 36); }

// The logits of each of n tokens may be off by as much as README.md says.
double score_rounding(const Golden& golden, std::size_t n, float length_penalty) {
  const auto length = static_cast<double>(n);
  return golden.taps.at("logits").tolerance * length / std::pow(length, length_penalty);
}

BeamSearchOptions search_of(const json& given) {
  BeamSearchOptions how{
      .beams = {.beams = given["num_beams"], .length_penalty = given.value("length_penalty", 1.0f)},
      .max_tokens = given["steps"],
      .end_tokens = given["end_tokens"],
      .rules = rules_of(given)};
  if (given.contains("early_stopping")) {
    how.beams.early_stopping =
        given["early_stopping"] == "never" ? EarlyStopping::never : EarlyStopping::yes;
  }
  return how;
}

// Every case of both checkpoints that has beams.
template <class On>
int check_beams(const On& on) {
  int checked = 0;
  for (const int version : {1, 2}) {
    const GoldenModel golden(version);
    const Tokenizer tokenizer(golden.golden.folder, golden.config.image_token,
                              static_cast<TokenId>(golden.config.text.vocabulary));
    const Model<On, HostWeights<float>> model{on, golden.model.vision, golden.model.text,
                                              golden.model.weights};
    for (const json& given : json::parse(std::ifstream(golden.golden.folder / "decoding.json"))) {
      if (!given.contains("num_beams")) continue;
      const auto prompt = make_prompt(tokenizer, given["prompt"].get<std::string>(),
                                      static_cast<int>(golden.image_tokens()));
      const auto T = static_cast<Index>(prompt.ids.size());
      const BeamSearchOptions how = search_of(given);
      Session<On> session(model.text, T, T + how.max_tokens, how.beams.beams);
      const auto found =
          beam_search(model, golden.image_rows.view(), prompt.ids, session, how, NoTap());
      const json& answers = given["answers"];
      EXPECT_GE(found.size(), answers.size()) << given;
      for (std::size_t i = 0; i < answers.size() && i < found.size(); ++i) {
        std::vector<TokenId> ids;
        for (const GeneratedToken& token : found[i].tokens) ids.push_back(token.id);
        EXPECT_EQ(ids, answers[i]["ids"]) << given;
        const double score = answers[i]["score"];
        EXPECT_NEAR(found[i].score, score,
                    score_rounding(golden.golden, ids.size(), how.beams.length_penalty))
            << given;
      }
      ++checked;
    }
  }
  return checked;
}

TEST(Decoding, ByBeamsIsAsTransformersHasIt) { EXPECT_EQ(check_beams(reference), 144); }
TEST(Decoding, ByBeamsIsTheSameFast) { EXPECT_EQ(check_beams(Fast()), 144); }

}  // namespace
}  // namespace paligemma
