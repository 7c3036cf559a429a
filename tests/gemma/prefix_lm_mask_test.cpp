#include "gemma/prefix_lm_mask.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {

// For GoogleTest's messages.
bool operator==(KeyRange a, KeyRange b) { return a.begin == b.begin && a.end == b.end; }
void PrintTo(KeyRange r, std::ostream* out) { *out << "[" << r.begin << ", " << r.end << ")"; }

namespace {

using namespace test;

// One line per query first, first + 1, ...: '#' where it may see a key, '.' where not.
std::vector<std::string> grid(Index first, Index T, Index S, Index prefix, Index window) {
  Buffer<KeyRange, 1> visible({T});
  prefix_lm_mask(reference, first, prefix, window, visible.view());
  std::vector<std::string> lines;
  for (Index t = 0; t < T; ++t) {
    std::string line(static_cast<std::size_t>(S), '.');
    const KeyRange keys = visible.view()(t);
    for (Index s = 0; s < S; ++s) {
      if (keys.begin <= s && s < keys.end) line[static_cast<std::size_t>(s)] = '#';
    }
    lines.push_back(line);
  }
  return lines;
}

using Grid = std::vector<std::string>;

// docs/gemma/prefix_lm_mask.md, "By hand": a picture of 3 patches, <bos>, a word and "\n"; then
// three tokens of the answer.
TEST(PrefixLmMask, WorkedExample) {
  const Grid expected = {
      "######...",  // picture
      "######...",  //
      "######...",  //
      "######...",  // <bos>
      "######...",  // the prompt
      "######...",  // "\n"
      "#######..",  // the answer
      "########.",  //
      "#########",  //
  };
  EXPECT_EQ(grid(0, 9, 9, 6, kNoWindow), expected);
}

TEST(PrefixLmMask, TheWindowCutsTheAnswerAndNotThePrefix) {
  const Grid expected = {
      "######...",  // picture
      "######...",  //
      "######...",  //
      "######...",  // <bos>
      "######...",  // the prompt
      "######...",  // "\n"
      "...####..",  // the answer
      "....####.",  //
      ".....####",  //
  };
  EXPECT_EQ(grid(0, 9, 9, 6, 4), expected);
}

TEST(PrefixLmMask, AWindowOfOneSeesOnlyItself) {
  EXPECT_EQ(grid(2, 3, 5, 0, 1), (Grid{"..#..", "...#.", "....#"}));
}

TEST(PrefixLmMask, NoPrefixIsCausal) {
  EXPECT_EQ(grid(0, 4, 4, 0, kNoWindow), (Grid{"#...", "##..", "###.", "####"}));
}

TEST(PrefixLmMask, APrefixOfOneIsCausalToo) {
  EXPECT_EQ(grid(0, 4, 4, 1, kNoWindow), grid(0, 4, 4, 0, kNoWindow));
}

// Every later step sees all that was, so a step of the answer needs no mask but its length.
TEST(PrefixLmMask, ADecodedTokenSeesEverythingBeforeIt) {
  EXPECT_EQ(grid(6, 1, 7, 6, kNoWindow), (Grid{"#######"}));
  EXPECT_EQ(grid(300, 1, 301, 260, kNoWindow), (Grid{std::string(301, '#')}));
}

// The header's two conditions, as they are written there.
bool may_see(Index t, Index s, Index prefix, Index window) {
  const bool both_in_the_prefix = s < prefix && t < prefix;
  const bool in_the_past = t - window < s && s <= t;
  return both_in_the_prefix || in_the_past;
}

TEST(PrefixLmMask, IsTheTwoRulesOfTheDefinition) {
  const Index S = 20;
  for (Index prefix : {0, 1, 7, 13, 20}) {
    for (Index window : {1, 2, 7, 19, 20, 21, 1000}) {
      const Grid mask = grid(0, S, S, prefix, window);
      for (Index t = 0; t < S; ++t) {
        for (Index s = 0; s < S; ++s) {
          EXPECT_EQ(mask[t][s] == '#', may_see(t, s, prefix, window))
              << "query " << t << ", key " << s << ", prefix " << prefix << ", window " << window;
        }
      }
    }
  }
}

// big_vision, make_attn_mask: a query sees the keys whose running sum of mask_ar is not above its
// own; mask_ar is 0 on the prefix and 1 on the answer.
TEST(PrefixLmMask, IsTheCumulativeSumOfBigVision) {
  const Index S = 12, prefix = 5;
  std::vector<int> sums;
  for (Index t = 0; t < S; ++t) sums.push_back((t ? sums[t - 1] : 0) + (t < prefix ? 0 : 1));
  const Grid mask = grid(0, S, S, prefix, kNoWindow);
  for (Index t = 0; t < S; ++t) {
    for (Index s = 0; s < S; ++s) EXPECT_EQ(mask[t][s] == '#', sums[s] <= sums[t]);
  }
}

TEST(PrefixLmMask, StepsTogetherAreTheWhole) {
  for (Index window : {Index{3}, kNoWindow}) {
    const Grid whole = grid(0, 9, 9, 4, window);
    Grid steps = grid(0, 4, 9, 4, window);
    for (Index t = 4; t < 9; ++t) steps.push_back(grid(t, 1, 9, 4, window)[0]);
    EXPECT_EQ(steps, whole);
  }
}

// 896 pixels are 4096 patches: with the words behind them the prefix is longer than Gemma 2's
// window of 4096, and the first patch is still seen by the last word.
TEST(PrefixLmMask, ThePrefixOfALargePictureIsNotCut) {
  const Index prefix = 4096 + 8, window = 4096;
  EXPECT_EQ(visible_keys(prefix - 1, prefix, window), (KeyRange{0, prefix}));
  EXPECT_EQ(visible_keys(prefix, prefix, window), (KeyRange{9, prefix + 1}));
  EXPECT_EQ(visible_keys(prefix, prefix, kNoWindow), (KeyRange{0, prefix + 1}));
}

// Attention over random keys and values, one head.
Buffer<float, 3> attend(const Buffer<float, 3>& q, const Buffer<float, 3>& k,
                        const Buffer<float, 3>& v, Index prefix) {
  Buffer<float, 3> out(q.view().shape());
  Buffer<KeyRange, 1> visible({q.view().size(0)});
  prefix_lm_mask(reference, 0, prefix, kNoWindow, visible.view());
  scaled_dot_product_attention(reference, q.view(), k.view(), v.view(),
                               View<const KeyRange, 1>(visible.view()), {0.5f}, out.view());
  return out;
}

bool same_row(const Buffer<float, 3>& a, const Buffer<float, 3>& b, Index t) {
  for (Index h = 0; h < a.view().size(2); ++h) {
    if (a.view()(t, 0, h) != b.view()(t, 0, h)) return false;
  }
  return true;
}

// Change one key, and see which queries notice.
TEST(PrefixLmMask, ThePictureNoticesAChangeOfTheLastWordOfThePrompt) {
  const Index S = 9, prefix = 6;
  const auto q = random<float, 3>({S, 1, 4}, 1), v = random<float, 3>({S, 1, 4}, 3);
  auto k = random<float, 3>({S, 1, 4}, 2);
  const auto before = attend(q, k, v, prefix);
  k.view()(prefix - 1, 0, 0) += 1;
  const auto after = attend(q, k, v, prefix);
  for (Index t = 0; t < S; ++t) EXPECT_FALSE(same_row(before, after, t)) << "query " << t;
}

TEST(PrefixLmMask, ThePrefixDoesNotNoticeTheAnswer) {
  const Index S = 9, prefix = 6;
  const auto q = random<float, 3>({S, 1, 4}, 1), v = random<float, 3>({S, 1, 4}, 3);
  auto k = random<float, 3>({S, 1, 4}, 2);
  const auto before = attend(q, k, v, prefix);
  k.view()(prefix + 1, 0, 0) += 1;
  const auto after = attend(q, k, v, prefix);
  for (Index t = 0; t < S; ++t) EXPECT_EQ(same_row(before, after, t), t <= prefix) << t;
}

TEST(PrefixLmMask, ACausalMaskBlindsThePicture) {
  const Index S = 9, prefix = 6;
  const auto q = random<float, 3>({S, 1, 4}, 1), k = random<float, 3>({S, 1, 4}, 2),
             v = random<float, 3>({S, 1, 4}, 3);
  const auto right = attend(q, k, v, prefix), causal = attend(q, k, v, 0);
  for (Index t = 0; t < S; ++t) EXPECT_EQ(same_row(right, causal, t), t >= prefix - 1) << t;
}

// Half a prefix cannot be computed: its queries would need keys that do not exist yet.
TEST(PrefixLmMask, APrefixInTwoPartsIsRefusedByAttention) {
  const auto half = random<float, 3>({3, 1, 4}, 1);
  EXPECT_THROW(attend(half, half, half, 6), ContractError);
}

TEST(PrefixLmMask, RejectsAWindowOfNothingAndNegativePositions) {
  Buffer<KeyRange, 1> visible({3});
  EXPECT_THROW(prefix_lm_mask(reference, 0, 2, 0, visible.view()), ContractError);
  EXPECT_THROW(prefix_lm_mask(reference, 0, 2, -1, visible.view()), ContractError);
  EXPECT_THROW(prefix_lm_mask(reference, -1, 2, kNoWindow, visible.view()), ContractError);
}

// So that a kernel can use the rule where it stands.
TEST(PrefixLmMask, IsAConstantExpression) {
  constexpr KeyRange first = visible_keys(0, 3, kNoWindow), last = visible_keys(5, 3, 2);
  EXPECT_EQ(first, (KeyRange{0, 3}));
  EXPECT_EQ(last, (KeyRange{4, 6}));
}

}  // namespace
}  // namespace paligemma
