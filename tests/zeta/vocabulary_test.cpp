#include "zeta/vocabulary.h"

#include <gtest/gtest.h>

#include "tensor/errors.h"
#include "tests/support/error_text.h"
#include "tests/support/source_dir.h"

namespace paligemma {
namespace {

using namespace test;
using zeta::Config;
using zeta::TextStream;
using zeta::Vocabulary;
using Ids = std::vector<TokenId>;

Vocabulary words() {
  return Vocabulary(std::vector<std::string>{".", "x", "o", "xo", "<end>", " cat", ""});
}

TEST(ZetaVocabulary, ATextIsItsWords) {
  EXPECT_EQ(words().encode(".o.<end>"), (Ids{0, 2, 0, 4}));
  EXPECT_EQ(words().encode("x cat"), (Ids{1, 5}));
  EXPECT_EQ(words().encode(""), Ids{});
}

TEST(ZetaVocabulary, TheLongestWordIsTaken) {
  EXPECT_EQ(words().encode("xxoo"), (Ids{1, 3, 2}));
  EXPECT_EQ(Vocabulary(std::vector<std::string>{"xo", "x", "o"}).encode("xxoo"), (Ids{1, 0, 2}));
}

TEST(ZetaVocabulary, SaysWhatIsNoWord) {
  EXPECT_TRUE(
      holds(error_text<PromptError>([] { words().encode("xo?x"); }), "\"?x\"", "vocabulary"));
}

TEST(ZetaVocabulary, WritesAWordForEachId) {
  const Vocabulary vocabulary = words();
  TextStream text(vocabulary);
  EXPECT_EQ(text.step(3) + text.step(5) + text.finish(), "xo cat");
  EXPECT_EQ(vocabulary.piece(4), "<end>");
}

// 1790 pieces; "é" is written by two of them.
TEST(ZetaVocabulary, PiecesAreATokenizersOwn) {
  const Config config;
  const auto folder = std::filesystem::path(source_dir()) / "tests/golden/paligemma1";
  const auto vocabulary = zeta::vocabulary_of(config, folder, 1790);
  ASSERT_TRUE(vocabulary);
  EXPECT_EQ(vocabulary->encode("detect red"), (Ids{410, 377}));
  EXPECT_EQ(vocabulary->piece(377), "▁red");
  TextStream text(*vocabulary);
  EXPECT_EQ(text.step(545), "a");
  EXPECT_EQ(text.step(203), "");
  EXPECT_EQ(text.step(177), "é");
  EXPECT_EQ(text.step(203), "");
  EXPECT_EQ(text.finish(), "\uFFFD");
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] { zeta::vocabulary_of(config, folder, 1789); }),
                    "1790 pieces", "1789 rows"));
}

TEST(ZetaVocabulary, AListGoesBeforeAFileAndNothingIsNone) {
  Config config;
  const auto golden = std::filesystem::path(source_dir()) / "tests/golden";
  EXPECT_FALSE(zeta::vocabulary_of(config, golden / "zeta", 2));
  config.vocabulary = {"a", "b"};
  EXPECT_EQ(zeta::vocabulary_of(config, golden / "paligemma1", 2)->encode("ba"), (Ids{1, 0}));
}

}  // namespace
}  // namespace paligemma
