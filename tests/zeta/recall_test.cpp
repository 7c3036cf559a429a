// models/recall says again what its memories alone still hold.
#include <gtest/gtest.h>

#include "tensor/philox.h"
#include "tests/support/source_dir.h"
#include "zeta/pipeline.h"

namespace paligemma {
namespace {

constexpr std::size_t kSegment = 12;
constexpr TokenId kLetters = 26, kAsked = 26;  // "="

// The share of letters that are said again.
double recalled(Index memory_rows) {
  const auto model = zeta::open_pipeline(
      reference, {.model = test::source_dir() + "/models/recall", .memory_rows = memory_rows});
  constexpr int kTexts = 20;
  int right = 0;
  for (std::uint64_t text = 0; text < kTexts; ++text) {
    std::vector<TokenId> ids;
    for (std::uint64_t i = 0; i < kSegment; ++i) {
      ids.push_back(static_cast<TokenId>(philox_uniform(text, i) * kLetters));
    }
    ids.push_back(kAsked);
    const auto said =
        model->generate(ids, {.max_tokens = kSegment}, [](auto&) { return true; }, {});
    for (std::size_t i = 0; i < kSegment; ++i) right += said[i].id == ids[i];
  }
  return static_cast<double>(right) / (kTexts * kSegment);
}

TEST(Recall, TakesMemoriesOfTheWholeSegment) {
  EXPECT_EQ(recalled(kSegment), 1);
  EXPECT_LT(recalled(kSegment / 2),
            0.8);  // letters come in turns: six rows hold the last six of them
}

// One in 26 by chance.
TEST(Recall, IsChanceWithoutMemories) { EXPECT_LT(recalled(0), 0.15); }

}  // namespace
}  // namespace paligemma
