#include "processing/tokenizer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "tensor/errors.h"
#include "tests/support/run_program.h"
#include "tests/support/source_dir.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;

// 1790 pieces in PaliGemma's order, made by tools/tokenizer/make_tokenizer.py.
const std::string kModel = source_dir() + "/tests/golden/paligemma1/tokenizer.model";
constexpr TokenId kImage = 1790, kRows = 1856, kFirstLoc = 638, kFirstSeg = 1662;

using Ids = std::vector<TokenId>;

Tokenizer golden() { return Tokenizer(kModel, kImage, kRows); }

std::string numbered(const char* format, int number) {
  char text[16];
  std::snprintf(text, sizeof text, format, number);
  return text;
}

// docs/processing/tokenizer.md, "By hand".
TEST(Tokenizer, WorkedExample) {
  const Tokenizer tokenizer = golden();
  EXPECT_EQ(tokenizer.encode("detect red circle"), (Ids{410, 377, 330}));
  EXPECT_EQ(tokenizer.piece(410), "detect");
  EXPECT_EQ(tokenizer.piece(377), "▁red");
  EXPECT_EQ(tokenizer.piece(330), "▁circle");
  EXPECT_EQ(tokenizer.encode("red"), (Ids{376})) << "no blank is put in front";
  EXPECT_EQ(tokenizer.encode("é"), (Ids{203, 177})) << "not in the vocabulary: its two bytes";
  EXPECT_EQ(tokenizer.encode("a<loc0012>b"), (Ids{545, 650, 561}));
}

TEST(Tokenizer, KnowsItsOwnTokens) {
  const Tokenizer tokenizer = golden();
  EXPECT_EQ(tokenizer.eos(), 1);
  EXPECT_EQ(tokenizer.bos(), 2);
  EXPECT_EQ(tokenizer.newline(), 5);
  EXPECT_EQ(tokenizer.image(), kImage);
}

TEST(Tokenizer, OfAnotherModelHasNoTokensOfPaliGemmas) {
  const Tokenizer tokenizer(kModel, kRows);
  EXPECT_EQ(tokenizer.encode("detect red<bos>"), (Ids{410, 377, 2}));
  EXPECT_EQ(tokenizer.decode(Ids{410, 377, 2}), "detect red");
  for (const TokenId id :
       {tokenizer.bos(), tokenizer.eos(), tokenizer.newline(), tokenizer.image()}) {
    EXPECT_EQ(id, kNoToken);
  }
  EXPECT_EQ(tokenizer.loc(kFirstLoc), std::nullopt);
  EXPECT_EQ(tokenizer.seg(kFirstSeg), std::nullopt);
  EXPECT_EQ(tokenizer.piece(kImage), "<1790>");
  EXPECT_THROW(Tokenizer(kModel, 1789), ModelFileError);
}

TEST(Tokenizer, KeepsEveryLocAndSegTokenWhole) {
  const Tokenizer tokenizer = golden();
  const auto check = [&](const std::string& text, TokenId id) {
    EXPECT_EQ(tokenizer.encode(text), (Ids{id})) << text;
    EXPECT_EQ(tokenizer.decode(Ids{id}), text);
    EXPECT_EQ(tokenizer.piece(id), text);

    const std::string inside = "detect" + text + " red";
    EXPECT_EQ(tokenizer.encode(inside), (Ids{410, id, 377})) << inside;
    EXPECT_EQ(tokenizer.decode(Ids{410, id, 377}), inside);
  };
  for (int i = 0; i < kLocTokens; ++i) {
    check(numbered("<loc%04d>", i), kFirstLoc + i);
    EXPECT_EQ(tokenizer.loc(kFirstLoc + i), i);
    EXPECT_EQ(tokenizer.seg(kFirstLoc + i), std::nullopt);
  }
  for (int i = 0; i < kSegTokens; ++i) {
    check(numbered("<seg%03d>", i), kFirstSeg + i);
    EXPECT_EQ(tokenizer.seg(kFirstSeg + i), i);
    EXPECT_EQ(tokenizer.loc(kFirstSeg + i), std::nullopt);
  }
  EXPECT_EQ(tokenizer.loc(kFirstLoc - 1), std::nullopt);
  EXPECT_EQ(tokenizer.seg(kFirstSeg + kSegTokens), std::nullopt);
}

TEST(Tokenizer, KeepsRowsOfLocAndSegTokensApart) {
  const Tokenizer tokenizer = golden();
  const std::string answer = "<loc0051><loc0309><loc0708><loc0646><seg007><seg127> red circle";
  const Ids ids = tokenizer.encode(answer);
  EXPECT_EQ(ids, (Ids{689, 947, 1346, 1284, 1669, 1789, 377, 330}));
  EXPECT_EQ(tokenizer.decode(ids), answer);
}

TEST(Tokenizer, SpellsOutWhatOnlyLooksLikeALoc) {
  const Tokenizer tokenizer = golden();
  for (const std::string text : {"<loc9999>", "<loc12>", "<loc0012", "loc0012>", "<seg128>"}) {
    const Ids ids = tokenizer.encode(text);
    EXPECT_GT(ids.size(), 1u) << text;
    EXPECT_EQ(tokenizer.decode(ids), text);
  }
}

// A run of newlines may be one token, so a prompt's own must not be stuck to the one behind it.
TEST(Tokenizer, MergesNewlinesThatStandTogether) {
  const Tokenizer tokenizer = golden();
  EXPECT_EQ(tokenizer.encode("\n"), (Ids{5}));
  EXPECT_EQ(tokenizer.encode("\n\n"), (Ids{6}));
  EXPECT_EQ(tokenizer.encode("a\nb"), (Ids{545, 5, 561}));
}

TEST(Tokenizer, RecognisesControlTokensThatAreTypedOut) {
  const Tokenizer tokenizer = golden();
  EXPECT_EQ(tokenizer.encode("<pad>"), (Ids{0}));
  EXPECT_EQ(tokenizer.encode("red<eos>"), (Ids{376, 1}));
  EXPECT_EQ(tokenizer.encode("<bos>red"), (Ids{2, 376}));
  EXPECT_EQ(tokenizer.encode("<unk>"), (Ids{3}));
  EXPECT_EQ(tokenizer.encode("<image><image>red"), (Ids{kImage, kImage, 376}));
  Ids ids = tokenizer.encode("< <");
  ids.push_back(2);
  EXPECT_EQ(tokenizer.encode("< <<bos>"), ids);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("<bo>")), "<bo>");
}

TEST(Tokenizer, LeavesControlTokensOutOfText) {
  const Tokenizer tokenizer = golden();
  EXPECT_EQ(tokenizer.decode(Ids{2, 376, 1}), "red");
  EXPECT_EQ(tokenizer.decode(Ids{0, 3, 376}), "red");
  EXPECT_EQ(tokenizer.decode(Ids{kImage, 376}), "red");
  EXPECT_EQ(tokenizer.decode(Ids{kRows - 1, 376, -1}), "red")
      << "rows of the table without a piece";
  EXPECT_EQ(tokenizer.decode({}), "");
}

TEST(Tokenizer, NamesEveryId) {
  const Tokenizer tokenizer = golden();
  EXPECT_EQ(tokenizer.piece(1), "<eos>");
  EXPECT_EQ(tokenizer.piece(kImage), "<image>");
  EXPECT_EQ(tokenizer.piece(1800), "<1800>");
  EXPECT_EQ(tokenizer.piece(-1), "<-1>");
}

TEST(Tokenizer, GivesBackEveryText) {
  const Tokenizer tokenizer = golden();
  for (const std::string text :
       {"", " ", "  ", "a  b   c ", "\t\r\n", "Größe: 3 × 4 °", "生活的真谛是", "😈🤗", "é́",
        "\x01\x7f", "detect red circle ; blue star\n", "<bold>", "a<b>c<<"}) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
  for (int c = 0; c < 128; ++c) {
    const std::string text(1, static_cast<char>(c));
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text) << "character " << c;
  }
}

// U+FFFD stands for bytes that make no character, as while an answer is still being written.
TEST(Tokenizer, MarksBytesThatMakeNoCharacter) {
  const Tokenizer tokenizer = golden();
  EXPECT_EQ(tokenizer.decode(Ids{203}), "\xef\xbf\xbd");
  EXPECT_EQ(tokenizer.decode(Ids{203, 177}), "é");
}

using Stretches = std::vector<std::string>;

// What each id adds, and then the end.
Stretches stretches_of(const Tokenizer& tokenizer, const Ids& ids) {
  DecodeStream stream(tokenizer);
  Stretches stretches;
  for (TokenId id : ids) stretches.push_back(stream.step(id));
  stretches.push_back(stream.finish());
  return stretches;
}

const std::string kMark = "\xef\xbf\xbd";  // U+FFFD
constexpr TokenId kFirstByte = 8;

Ids bytes(std::string_view text) {
  Ids ids;
  for (char c : text) ids.push_back(kFirstByte + static_cast<unsigned char>(c));
  return ids;
}

// docs/processing/tokenizer.md, "Four things to get right".
TEST(DecodeStream, WorkedExample) {
  EXPECT_EQ(stretches_of(golden(), {203, 177, 376, 203, 561}),
            (Stretches{"", "é", "red", "", kMark + "b", ""}));
}

TEST(DecodeStream, KeepsBytesUntilTheyMakeACharacterOrCannot) {
  const Tokenizer tokenizer = golden();
  const auto check = [&](std::string_view text, const Stretches& stretches) {
    EXPECT_EQ(stretches_of(tokenizer, bytes(text)), stretches);
  };
  check("\xe2\x82\xac", {"", "", "€", ""});
  check("\xf0\x9f\x98\x88", {"", "", "", "😈", ""});
  check("\xe2\x82", {"", "", kMark + kMark});                   // the end came first
  check("\xff!", {kMark, "!", ""});                             // begins nothing
  check("\xc3(", {"", kMark + "(", ""});                        // is not continued
  check("\xe2\x82\xc3\xa9", {"", "", kMark + kMark, "é", ""});  // another begins
  check("\xe0\x80", {"", kMark + kMark, ""});                   // would not be the shortest
  check("\xed\xa0", {"", kMark + kMark, ""});                   // would be a surrogate
  check("\xf4\x90", {"", kMark + kMark, ""});                   // would be past the last code point
  check(kMark, {"", "", kMark, ""});                            // a character like any other
}

TEST(DecodeStream, KnowsWhichTokensStandBetweenBytes) {
  const Tokenizer tokenizer = golden();
  // A control token parts them; an id without a piece is as if it were not there.
  EXPECT_EQ(stretches_of(tokenizer, {203, 2, 177}), (Stretches{"", kMark, kMark, ""}));
  EXPECT_EQ(stretches_of(tokenizer, {203, 3, kImage, -1, 177}),
            (Stretches{"", "", "", "", "é", ""}));
}

// Ids of all kinds by chance, blanks and location tokens at the start among them.
void expect_the_text_of_the_whole(const Tokenizer& tokenizer) {
  std::mt19937 random(1);
  for (int text = 0; text < 2000; ++text) {
    Ids ids;
    for (auto length = random() % 12; length > 0; --length) {
      const TokenId kinds[]{static_cast<TokenId>(random() % kRows),             // any
                            543,                                                // one blank
                            static_cast<TokenId>(random() % 10) - 1,            // control, blanks
                            kFirstByte + static_cast<TokenId>(random() % 256),  // bytes
                            kFirstByte + 0x80 + static_cast<TokenId>(random() % 0x40),
                            kFirstByte + 0xe0 + static_cast<TokenId>(random() % 0x20)};
      ids.push_back(kinds[random() % std::size(kinds)]);
    }
    std::string joined;
    for (const std::string& stretch : stretches_of(tokenizer, ids)) joined += stretch;
    ASSERT_EQ(joined, tokenizer.decode(ids)) << ::testing::PrintToString(ids);
  }
}

TEST(DecodeStream, MakesTheTextOfTheWhole) { expect_the_text_of_the_whole(golden()); }

// Other models than PaliGemma's put a blank in front of a text (add_dummy_prefix) and take it away again, or
// take away all that are there (remove_extra_whitespaces).
TEST(DecodeStream, MayLoseBlanksInFront) {
  const std::string bytes = read_bytes(kModel);
  const auto fields = bytes.find("identity") + 8;  // behind the name of the rule
  const std::string neither("\x12\x00\x18\x00\x20\x00", 6);
  ASSERT_EQ(bytes.substr(fields, neither.size()), neither);
  TemporaryFolder folder;
  for (const std::size_t flag : {3, 5}) {
    std::string changed = bytes;
    changed[fields + flag] = 1;
    write_text(folder / "tokenizer.model", changed);
    const Tokenizer tokenizer(folder / "tokenizer.model", kImage, kRows);
    EXPECT_EQ(tokenizer.decode(Ids{377}), "red");
    expect_the_text_of_the_whole(tokenizer);
  }
}

// To the tokens of tests/data/tokenizer, one that has no text, and two that are found as they are typed.
TEST(Tokenizer, ReadsTokensThatWereAdded) {
  TemporaryFolder folder;
  std::string json = read_bytes(source_dir() + "/tests/data/tokenizer/tokenizer.json");
  const auto end = json.find("],\n  \"normalizer\"");
  ASSERT_NE(end, json.npos);
  json.insert(end, R"(, {"id": 1791, "content": "<car>", "normalized": true, "special": true},
                        {"id": 1792, "content": "<eos>s", "normalized": false},
                        {"id": 1793, "content": "car red", "normalized": false})");
  write_text(folder / "tokenizer.json", json);
  const Tokenizer tokenizer(folder.path(), kImage, kRows);
  EXPECT_EQ(tokenizer.encode("<eos>s<eos>"), (Ids{1792, 1}));
  EXPECT_EQ(tokenizer.encode("red<car>car red"), (Ids{376, 1791, 1793}));
  EXPECT_EQ(tokenizer.decode(Ids{376, 1791, 1793}), "redcar red");

  write_text(folder / "added_tokens.json", R"({"<bus>": 1796})");
  const Tokenizer more(folder.path(), kImage, kRows);
  EXPECT_EQ(more.encode("<bus>"), (Ids{1796}));
  EXPECT_EQ(more.piece(1795), "<1795>");
  EXPECT_GT(more.encode("<1795>").size(), 1u) << "no token, so no name";
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8) {
  const Tokenizer tokenizer = golden();
  for (const std::string text :
       {"\x80", "\xc3", "\xc3(", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff", "\xe2\x82", "\xf0\x9f\x98"}) {
    EXPECT_THROW(tokenizer.encode(text), PromptError);
  }
  EXPECT_THROW(tokenizer.encode(std::string_view("é").substr(0, 1)), PromptError)
      << "the byte behind the text is not the text's";
  try {
    tokenizer.encode("abc\xff");
    FAIL();
  } catch (const PromptError& error) {
    EXPECT_STREQ(error.what(), "the text is not UTF-8 (byte 4)");
  }
}

TEST(Tokenizer, AcceptsTheEdgesOfUtf8) {
  const Tokenizer tokenizer = golden();
  for (const std::string text : {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                 "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

// Bad models are made of the good one.
class ABadModel : public ::testing::Test {
 protected:
  // The message with which a model of these bytes is refused.
  std::string refusal(const std::string& bytes, TokenId image = kImage, TokenId rows = kRows) {
    std::ofstream(path_, std::ios::binary) << bytes;
    try {
      Tokenizer(path_, image, rows);
    } catch (const ModelFileError& error) {
      EXPECT_EQ(std::string(error.what()).substr(0, path_.size()), path_);
      return error.what() + path_.size();
    }
    return "";
  }

  // A piece's record begins with two tags and two lengths of a byte each.
  std::string cut_before(const std::string& piece) {
    return good_.substr(0, good_.find(piece) - 4);
  }

  std::string with(std::string bytes, const std::string& piece, const std::string& instead) {
    return bytes.replace(bytes.find(piece), piece.size(), instead);
  }

  const std::string good_ = read_bytes(kModel);
  TemporaryFolder folder_;
  std::string path_ = (folder_ / "tokenizer.model").string();
};

TEST_F(ABadModel, IsNotTheGoodOne) { EXPECT_EQ(refusal(good_), ""); }

TEST_F(ABadModel, IsMissing) {
  EXPECT_THROW(Tokenizer("no/such/tokenizer.model", kImage, kRows), NotFoundError);
}

TEST_F(ABadModel, IsSomethingElse) {
  EXPECT_EQ(refusal(""), ": the file is empty");
  EXPECT_EQ(refusal("version https://git-lfs"), ": not a SentencePiece model");
  EXPECT_EQ(refusal(good_.substr(0, good_.size() / 2)), ": not a SentencePiece model");
  EXPECT_THROW(Tokenizer(folder_.path(), kImage, kRows), ModelFileError);
}

TEST_F(ABadModel, IsOfAnotherGemma) {
  EXPECT_EQ(refusal(cut_before("<loc0000>")),
            ": has no <loc0000>; it is not a PaliGemma tokenizer");
  EXPECT_EQ(refusal(cut_before("<seg127>")), ": has no <seg127>; it is not a PaliGemma tokenizer");
  EXPECT_EQ(refusal(with(good_, "<bos>", "<cls>")),
            ": has no <bos>; it is not a PaliGemma tokenizer");
}

TEST_F(ABadModel, HasLocTokensOutOfOrder) {
  const std::string swapped =
      with(with(with(good_, "<loc0007>", "<loc...>"), "<loc0008>", "<loc0007>"), "<loc...>",
           "<loc0008>");
  EXPECT_EQ(refusal(swapped), ": <loc0007> is out of order");
}

TEST_F(ABadModel, HasMorePiecesThanTheTableHasRows) {
  EXPECT_EQ(refusal(good_, 1789, 1789), ": has 1790 pieces, the embedding table has 1789 rows");
}

// 256000, the default of a configuration class, is <loc0000> in the published model.
TEST_F(ABadModel, HasATextTokenForTheImage) {
  EXPECT_EQ(refusal(good_, kFirstLoc),
            ": config.json says that the image token is 638, which here is <loc0000>");
}

// The row of the image token is never looked up, so it may be the one behind the last.
TEST_F(ABadModel, HasAnImageTokenFarBeyondTheTable) {
  EXPECT_EQ(refusal(good_, kRows), "");
  EXPECT_EQ(refusal(good_, kRows + 1),
            ": config.json says that the image token is 1857, the embedding table has 1856 rows");
  EXPECT_NE(refusal(good_, -1), "");
}

// Expected ids: transformers/tests/models/gemma/test_tokenization_gemma.py, and what the
// documentation of transformers' PaliGemma, of Keras and of Gemma says.
TEST(Tokenizer, MatchesPublishedIdsOfTheGenuineModel) {
  const char* path = std::getenv("PALIGEMMA_TOKENIZER");
  if (!path) GTEST_SKIP() << "PALIGEMMA_TOKENIZER names no tokenizer.model of PaliGemma";
  const Tokenizer tokenizer(path, 257152, 257216);
  const std::pair<std::string, Ids> vectors[]{
      {"", {}},
      {" ", {235248}},
      {"  ", {139}},
      {" Hello", {25957}},
      {"Hi  Hello", {2151, 139, 4521}},
      {"Hi   Hello", {2151, 140, 4521}},
      {"a  ", {235250, 139}},
      {std::string(47, ' '), {168, 153}},  // the longest run first: 31 and 16
      {"\t\t\t\t \n\n61", {255971, 235248, 109, 235318, 235274}},
      {"This is a test", {1596, 603, 476, 2121}},
      {"A sample test", {235280, 6453, 2121}},
      {"生活的真谛是", {122182, 235710, 245467, 235427}},
      {"The quick brown fox.", {651, 4320, 8426, 25341, 235265}},
      {"The quick brown fox jumps over the lazy dog.",
       {651, 4320, 8426, 25341, 36271, 1163, 573, 27894, 5929, 235265}},
      {"Derinkuyu is an underground city.", {8636, 979, 78904, 603, 671, 30073, 3413, 235265}},
      {"Hey<eos>. \t\t \n\nyou  é  @#😈  🤗!       , 1234 15 5,61",
       {6750,   1,      235265, 235248, 255969, 235248, 109,    4747,   139,    235335, 139,
        216311, 241316, 139,    239880, 235341, 144,    235269, 235248, 235274, 235284, 235304,
        235310, 235248, 235274, 235308, 235248, 235308, 235269, 235318, 235274}},
      {"hello", {17534}},
      {" hello", {25612}},
      {"<s>", {204}},
      {"<bos> Keras is", {2, 214064, 603}},
      {"Where is the cow standing?\n", {6006, 603, 573, 13910, 9980, 235336, 108}},
      {"on the beach", {477, 573, 8318}},
      {"beach<eos>", {54901, 1}},
      {"cow standing on the beach<eos>", {14706, 9980, 611, 573, 8318, 1}},
      {"<image><loc0000><loc1023><seg000><seg127>", {257152, 256000, 257023, 257024, 257151}}};
  for (const auto& [text, ids] : vectors) EXPECT_EQ(tokenizer.encode(text), ids) << text;
  EXPECT_EQ(tokenizer.decode(Ids{869}), "og");
  EXPECT_EQ(tokenizer.decode(Ids{30112, 869}), " expenditureog");
  EXPECT_EQ(tokenizer.decode(Ids{2, 1596, 603, 476, 2121}), "This is a test");
  EXPECT_EQ(tokenizer.decode(Ids{4567}), "Med");
}

}  // namespace
}  // namespace paligemma
