#include "processing/merge_scores.h"

#include <gtest/gtest.h>

#include "tensor/errors.h"
#include "tests/support/error_text.h"

namespace paligemma {
namespace {

using namespace test;
using Pieces = std::vector<std::string_view>;
using Merges = std::vector<Merge>;

std::vector<float> scores(const Pieces& pieces, const Merges& merges,
                          const std::vector<PieceType>& types = {}) {
  const PieceTable table(pieces);
  std::vector<PieceType> all = types;
  all.resize(pieces.size(), PieceType::normal);
  return merge_scores(pieces, table, all, merges, JsonFields("{}", "model"));
}

std::string refusal(const Pieces& pieces, const Merges& merges,
                    const std::vector<PieceType>& types = {}) {
  return error_text<ModelFileError>([&] { scores(pieces, merges, types); });
}

const Pieces kAbc{"a", "b", "c", "ab", "bc", "abc"};

// processing/merge_scores.h.
TEST(MergeScores, WorkedExample) {
  EXPECT_EQ(scores({"a", "b", "c", "ab", "abc"}, {{"a", "b"}, {"ab", "c"}}),
            (std::vector<float>{0, 0, 0, 0, -1}));
}

TEST(MergeScores, AreTheRanksOfFirstMerges) {
  EXPECT_EQ(scores(kAbc, {{"b", "c"}, {"ab", "c"}, {"a", "bc"}, {"a", "b"}}),
            (std::vector<float>{0, 0, 0, -2, 0, -1}));
}

TEST(MergeScores, NeedEveryMergeOnceAndThoseOfAPieceTogether) {
  EXPECT_EQ(refusal(kAbc, {{"a", "b"}, {"b", "c"}, {"ab", "c"}}),
            R"(model.merges: "a" + "bc" are missing, though their union is a piece)");
  EXPECT_EQ(refusal(kAbc, {{"a", "b"}, {"b", "c"}, {"a", "bc"}}),
            R"(model.merges: "ab" + "c" are missing, though their union is a piece)");
  EXPECT_EQ(refusal(kAbc, {{"a", "b"}, {"a", "b"}}),
            R"(model.merges: "a" + "b" stand there twice)");
  EXPECT_EQ(refusal(kAbc, {{"a", "b"}, {"ab", "c"}, {"b", "c"}, {"a", "bc"}}),
            R"(model.merges: "a" + "bc" do not stand beside the other merges of their union)");
  for (const Merge& odd : {Merge("a", "x"), Merge("x", "a"), Merge("c", "a"), Merge("a", "")}) {
    EXPECT_TRUE(holds(refusal(kAbc, {odd}), " are not three pieces, with their union"));
  }
}

// By ids, the single blank's first.
TEST(MergeScores, OfRunsMayBeScattered) {
  const Pieces runs{"▁", "▁▁", "▁▁▁", "▁▁▁▁"};
  EXPECT_EQ(
      scores(runs,
             {{"▁", "▁"}, {"▁", "▁▁"}, {"▁", "▁▁▁"}, {"▁▁", "▁"}, {"▁▁", "▁▁"}, {"▁▁▁", "▁"}}),
      (std::vector<float>{0, 0, -1, -2}));
  EXPECT_TRUE(
      holds(refusal(runs, {{"▁", "▁"}, {"▁", "▁▁"}, {"▁▁", "▁"}, {"▁", "▁▁▁"}, {"▁▁▁", "▁"}}),
            R"("▁▁" + "▁▁" are missing)"));
}

TEST(MergeScores, AreOfNormalPiecesAlone) {
  using enum PieceType;
  EXPECT_EQ(scores({"a", "b", "ab"}, {}, {normal, normal, user_defined}),
            (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(scores({"a", "b", "ab", "ba"}, {{"a", "b"}, {"b", "a"}}, {normal, normal, control}),
            (std::vector<float>{0, 0, 0, 0}));
  EXPECT_EQ(scores({"a", "b", "ab"}, {}, {normal, user_defined}), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(refusal({"<", "0x41>", "<0x41>"}, {{"<", "0x41>"}}, {normal, normal, byte}),
            R"(model.merges: "<" + "0x41>" make a single byte)");
}

TEST(MergeScores, CountCharacters) {
  EXPECT_EQ(scores({"é", "真", "é真"}, {{"é", "真"}}), (std::vector<float>{0, 0, 0}));
  EXPECT_TRUE(holds(refusal({"é", "真", "é真"}, {}), R"("é" + "真" are missing)"));
  const std::string longest(64, 'x'), longer(65, 'x');
  EXPECT_NO_THROW(scores({"x", longest}, {}));
  EXPECT_TRUE(holds(refusal({"x", longer}, {}), "has more than 64 characters"));
  EXPECT_NO_THROW(scores({"x", longer}, {}, {PieceType::normal, PieceType::user_defined}));
  EXPECT_EQ(refusal({"a\xff"}, {}), "model.vocab: \"a\\xff\" is not UTF-8");
}

TEST(PieceTable, FindsEachPiece) {
  std::vector<std::string> texts;
  for (int i = 0; i < 1000; ++i) texts.push_back(std::to_string(i * 7));
  const Pieces pieces(texts.begin(), texts.end());
  const PieceTable table(pieces);
  for (int i = 0; i < 1000; ++i) {
    const std::string& text = texts[static_cast<std::size_t>(i)];
    EXPECT_EQ(table.find(text), i);
    EXPECT_TRUE(table.may_have(PieceTable::hash(text)));
    EXPECT_EQ(table.find(text + "x"), PieceTable::kNone);
  }
  EXPECT_EQ(PieceTable::hash("ab"), PieceTable::hash("b", PieceTable::hash("a")));
  EXPECT_EQ(PieceTable(Pieces()).find(""), PieceTable::kNone);
}

}  // namespace
}  // namespace paligemma
