#include "zeta/vocabulary.h"

#include <gtest/gtest.h>

#include "tensor/errors.h"
#include "tests/support/error_text.h"

namespace paligemma {
namespace {

using namespace test;
using Ids = std::vector<TokenId>;

const std::vector<std::string> kWords{".", "x", "o", "xo", "<end>", " cat", ""};

TEST(ZetaVocabulary, ATextIsItsWords) {
  EXPECT_EQ(zeta::ids_of(kWords, ".o.<end>"), (Ids{0, 2, 0, 4}));
  EXPECT_EQ(zeta::ids_of(kWords, "x cat"), (Ids{1, 5}));
  EXPECT_EQ(zeta::ids_of(kWords, ""), Ids{});
}

TEST(ZetaVocabulary, TheLongestWordIsTaken) {
  EXPECT_EQ(zeta::ids_of(kWords, "xxoo"), (Ids{1, 3, 2}));
  EXPECT_EQ(zeta::ids_of({"xo", "x", "o"}, "xxoo"), (Ids{1, 0, 2}));
}

TEST(ZetaVocabulary, SaysWhatIsNoWord) {
  EXPECT_TRUE(
      holds(error_text<PromptError>([] { zeta::ids_of(kWords, "xo?x"); }), "\"?x\"", "vocabulary"));
}

}  // namespace
}  // namespace paligemma
