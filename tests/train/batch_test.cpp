#include "train/batch.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

using Ids = std::vector<TokenId>;
using Rows = std::vector<Index>;

Example example_of(Index pictures, Ids ids, Index prefix, unsigned seed) {
  Example example;
  example.pixels = random<float, 4>({pictures, 2, 2, 3}, seed);
  example.ids = std::move(ids);
  example.prefix = prefix;
  return example;
}

// A picture of two tokens (90), <bos> (2), one word and \n; two words and <eos> (1) are learned.
Example short_one() { return example_of(1, {90, 90, 2, 11, 5, 21, 22, 1}, 5, 1); }
// Two pictures and no word; one word and <eos> are learned.
Example of_two_pictures() { return example_of(2, {90, 90, 90, 90, 2, 5, 31, 1}, 6, 2); }

TrainingBatch batch_of(const std::vector<const Example*>& examples, float weight = 0.2f) {
  return make_batch(examples, weight);
}

// docs/train/batch.md, "By hand".
TEST(Batch, WorkedExample) {
  const Example example = short_one();
  const TrainingBatch batch = batch_of({&example}, 0.25f);
  EXPECT_EQ(batch.ids, example.ids);
  EXPECT_EQ(batch.next.rows, (Rows{4, 5, 6}));
  EXPECT_EQ(batch.next.targets, (Ids{21, 22, 1}));
  EXPECT_EQ(batch.next.weights, (std::vector<float>{0.25f, 0.25f, 0.25f}));
  ASSERT_EQ(batch.segments.size(), 1u);
  EXPECT_EQ(batch.segments[0].first, 0);
  EXPECT_EQ(batch.segments[0].T, 8);
  EXPECT_EQ(batch.segments[0].prefix, 5);
  EXPECT_TRUE(close(batch.pixels.view(), example.pixels.view(), kExact));
}

// Each row follows from its own example, and each token counts alike.
TEST(Batch, HasExamplesOneBehindTheOther) {
  const Example a = short_one(), b = of_two_pictures(), c = example_of(1, {90, 90, 2, 41}, 3, 3);
  const TrainingBatch batch = batch_of({&a, &b, &c});
  EXPECT_EQ(batch.ids,
            (Ids{90, 90, 2, 11, 5, 21, 22, 1, 90, 90, 90, 90, 2, 5, 31, 1, 90, 90, 2, 41}));
  EXPECT_EQ(batch.next.rows, (Rows{4, 5, 6, 13, 14, 18}));
  EXPECT_EQ(batch.next.targets, (Ids{21, 22, 1, 31, 1, 41}));
  EXPECT_EQ(batch.next.weights, std::vector<float>(6, 0.2f));

  const Rows lengths{8, 8, 4}, prefixes{5, 6, 3};
  ASSERT_EQ(batch.segments.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(batch.segments[i].first, 0);
    EXPECT_EQ(batch.segments[i].T, lengths[i]);
    EXPECT_EQ(batch.segments[i].prefix, prefixes[i]);
  }
}

TEST(Batch, HasPicturesInTheOrderOfTheirTokens) {
  const Example a = short_one(), b = of_two_pictures();
  const TrainingBatch batch = batch_of({&a, &b});
  const auto pixels = batch.pixels.view();
  ASSERT_EQ(pixels.shape(), (std::array<Index, 4>{3, 2, 2, 3}));
  EXPECT_TRUE(close(pixels.row(0), a.pixels.view().row(0), kExact));
  EXPECT_TRUE(close(pixels.row(1), b.pixels.view().row(0), kExact));
  EXPECT_TRUE(close(pixels.row(2), b.pixels.view().row(1), kExact));
}

TEST(Batch, CountsTheTokensThatAreLearned) {
  const Example a = short_one(), b = of_two_pictures();
  const std::vector<const Example*> none, both{&a, &b}, twice_a{&a, &a};
  EXPECT_EQ(learned_tokens(none), 0);
  EXPECT_EQ(a.learned(), 3);
  EXPECT_EQ(learned_tokens(both), 5);
  EXPECT_EQ(learned_tokens(twice_a), 6);
}

TEST(Batch, RejectsWhatNothingIsLearnedFrom) {
  const Example good = short_one();
  EXPECT_THROW(batch_of({}), ContractError);
  for (const Index prefix : {-1, 0, 8, 9}) {
    Example bad = short_one();
    bad.prefix = prefix;
    EXPECT_THROW(batch_of({&good, &bad}), ContractError) << prefix;
  }
}

TEST(Batch, RejectsPicturesOfAnotherSize) {
  const Example good = short_one();
  Example taller = short_one(), wider = short_one();
  taller.pixels = random<float, 4>({1, 3, 2, 3}, 1);
  wider.pixels = random<float, 4>({1, 2, 3, 3}, 1);
  EXPECT_THROW(batch_of({&good, &taller}), ContractError);
  EXPECT_THROW(batch_of({&good, &wider}), ContractError);
  EXPECT_NO_THROW(batch_of({&taller, &taller}));
}

}  // namespace
}  // namespace paligemma
