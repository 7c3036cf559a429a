#include "processing/padding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "gemma/prefix_lm_mask.h"
#include "processing/prompt.h"
#include "tensor/errors.h"
#include "tensor/philox.h"
#include "tests/support/data.h"
#include "tests/support/source_dir.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;
using Ids = std::vector<TokenId>;
using Samples = std::vector<PromptAndAnswer>;

// docs/processing/padding.md, "By hand".
TEST(Padding, WorkedExample) {
  const Samples rows{{{1, 4, 9}, {5, 7, 2}}, {{1, 4, 9, 6, 8}, {5, 7, 2}}};
  const LeftPadded left = pad_left(rows);
  EXPECT_EQ(left.input_ids[0], (Ids{0, 0, 1, 4, 9, 5, 7, 2}));
  EXPECT_EQ(left.attention_mask[0], (std::vector{0, 0, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(left.token_type_ids[0], (std::vector{0, 0, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(left.position_ids[0], (std::vector{1, 1, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(left.labels[0], (Ids{-100, -100, -100, -100, -100, 5, 7, 2}));
  const RightPadded right = pad_right(rows);
  EXPECT_EQ(right.token_ids[0], (Ids{1, 4, 9, 5, 7, 2, 0, 0}));
  EXPECT_EQ(right.padding_mask[0], (std::vector{1, 1, 1, 1, 1, 1, 0, 0}));
  EXPECT_EQ(right.response_mask[0], (std::vector{0, 0, 0, 1, 1, 1, 0, 0}));
  EXPECT_EQ(right.labels[0], (Ids{4, 9, 5, 7, 2, 0, 0, 0}));
  EXPECT_EQ(right.weights[0], (std::vector{0, 0, 1, 1, 1, 0, 0, 0}));
}

// tests/golden/padding.json, of the first golden checkpoint.
class GoldenPadding : public ::testing::Test {
 protected:
  Samples samples(const json& lines, bool has_pictures) const {
    constexpr int kPlaces = 25;
    Samples all;
    for (const json& line : lines) {
      PromptAndAnswer& row = all.emplace_back();
      const std::string prompt = line["prompt"];
      if (has_pictures) {
        row.prompt = make_prompt(tokenizer_, prompt, kPlaces).ids;
      } else {
        row.prompt = tokenizer_.encode(prompt);
        row.prompt.insert(row.prompt.begin(), tokenizer_.bos());
      }
      if (!line.contains("suffix")) continue;
      row.answer = tokenizer_.encode(line["suffix"].get<std::string>());
      row.answer.push_back(tokenizer_.eos());
    }
    return all;
  }

  const json golden_ = json::parse(std::ifstream(source_dir() + "/tests/golden/padding.json"));
  const Tokenizer tokenizer_{source_dir() + "/tests/golden/paligemma1/tokenizer.model", 1790, 1856};
};

TEST_F(GoldenPadding, IsTransformersOnTheLeft) {
  for (const char* kind : {"to_be_written", "learned"}) {
    const json& given = golden_["left"][kind];
    const Samples rows = samples(given["lines"], true);
    const LeftPadded batch = pad_left(rows);
    EXPECT_EQ(json(batch.input_ids), given["input_ids"]) << kind;
    EXPECT_EQ(json(batch.attention_mask), given["attention_mask"]) << kind;
    EXPECT_EQ(json(batch.token_type_ids), given["token_type_ids"]) << kind;
    EXPECT_EQ(json(batch.labels), given["labels"]) << kind;
    if (given.contains("position_ids")) {
      EXPECT_EQ(json(batch.position_ids), given["position_ids"]) << kind;
    }
    EXPECT_EQ(unpadded(batch), rows) << kind;
  }
}

TEST_F(GoldenPadding, IsKerasHubsOnTheRight) {
  for (const char* kind : {"to_be_written", "learned"}) {
    const json& given = golden_["right"][kind];
    const Samples rows = samples(given["lines"], false);
    const RightPadded batch = pad_right(rows);
    EXPECT_EQ(json(batch.token_ids), given["token_ids"]) << kind;
    EXPECT_EQ(json(batch.padding_mask), given["padding_mask"]) << kind;
    EXPECT_EQ(json(batch.response_mask), given["response_mask"]) << kind;
    if (given.contains("labels")) {
      EXPECT_EQ(json(batch.labels), given["labels"]) << kind;
      EXPECT_EQ(json(batch.weights), given["weights"]) << kind;
    }
    EXPECT_EQ(unpadded(batch), rows) << kind;
  }
}

Samples some_samples() {
  Samples rows;
  for (const auto& [prompt, answer] : {std::pair{3, 2}, {7, 0}, {1, 5}, {4, 4}, {0, 1}, {0, 0}}) {
    PromptAndAnswer& row = rows.emplace_back();
    for (int i = 0; i < prompt; ++i) row.prompt.push_back(10 + i);
    for (int i = 0; i < answer; ++i) row.answer.push_back(i);  // an id 0 is no pad
  }
  return rows;
}

TEST(Padding, ComesBack) {
  EXPECT_EQ(unpadded(pad_left(some_samples())), some_samples());
  EXPECT_EQ(unpadded(pad_right(some_samples())), some_samples());
  EXPECT_EQ(pad_right(Samples{{{}, {5, 1}}}).weights, (Rows<int>{{1, 0}}))
      << "none behind the last";
  EXPECT_TRUE(unpadded(pad_left({})).empty());
  EXPECT_TRUE(unpadded(pad_right({})).empty());
}

// The masks of the originals, as formulas over keys and queries, and ours without any padding.
TEST(Padding, LetsEachTokenSeeWhatItSeesHere) {
  const Samples rows = some_samples();
  const LeftPadded left = pad_left(rows);
  const RightPadded right = pad_right(rows);
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const auto prefix = static_cast<Index>(rows[b].prompt.size()),
               T = prefix + static_cast<Index>(rows[b].answer.size()),
               pads = static_cast<Index>(left.input_ids[b].size()) - T;
    for (Index t = 0; t < T; ++t) {
      const KeyRange visible = visible_keys(t, prefix, kNoWindow);
      for (Index s = -pads; s < T + pads; ++s) {
        const bool is_seen = visible.begin <= s && s < visible.end;
        if (s < T) {  // pads are in front
          const auto key = static_cast<std::size_t>(pads + s),
                     query = static_cast<std::size_t>(pads + t);
          const auto& type = left.token_type_ids[b];
          EXPECT_EQ(left.attention_mask[b][key] != 0 &&
                        (key <= query || (type[key] == 0 && type[query] == 0)),
                    is_seen)
              << b << ": " << t << " sees " << s;
        }
        if (s >= 0) {  // pads are behind
          const auto key = static_cast<std::size_t>(s);
          const bool token = right.padding_mask[b][key] != 0,
                     answer = right.response_mask[b][key] != 0;
          EXPECT_EQ((token && !answer) || (s <= t && answer), is_seen)
              << b << ": " << t << " sees " << s;
        }
      }
    }
  }
}

TEST(Padding, IsNotAnyMask) {
  const Samples rows{{{1, 2, 3}, {4, 5}}, {{1}, {2}}};
  const auto left = [&](auto change) {
    LeftPadded batch = pad_left(rows);
    change(batch);
    return unpadded(batch);
  };
  const auto right = [&](auto change) {
    RightPadded batch = pad_right(rows);
    change(batch);
    return unpadded(batch);
  };
  EXPECT_THROW(left([](auto& b) { b.attention_mask[0][2] = 0; }), PromptError) << "a pad within";
  EXPECT_THROW(right([](auto& b) { b.padding_mask[0][2] = 0; }), PromptError) << "a pad within";
  EXPECT_THROW(right([](auto& b) { b.padding_mask[1][0] = 0; }), PromptError) << "a pad in front";
  EXPECT_THROW(left([](auto& b) { b.token_type_ids[0][4] = 0; }), PromptError) << "prompt behind";
  EXPECT_THROW(right([](auto& b) { b.response_mask[0][4] = 0; }), PromptError) << "prompt behind";
  EXPECT_THROW(left([](auto& b) { b.attention_mask[0].pop_back(); }), PromptError) << "too short";
  EXPECT_THROW(right([](auto& b) { b.response_mask[0].push_back(1); }), PromptError) << "too long";
  EXPECT_THROW(left([](auto& b) { b.attention_mask.pop_back(); }), PromptError) << "a row less";
}

}  // namespace
}  // namespace paligemma
