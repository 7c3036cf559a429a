// `tokenize`: a text's tokens.
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

TEST(Tokenize, ShowsAnIdAndAPieceALine) {
  const Ran ran = run_program({"tokenize", "caption en"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out, "405\t\"caption\"\n281\t\"▁en\"\n");
  EXPECT_EQ(ran.err, "");
}

TEST(Tokenize, AsJsonIsAnArrayOfIdsAndPieces) {
  const Ran ran = run_program({"tokenize", "--json", "red <loc0051>"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(count_lines(ran.out), 1u);
  const json tokens = json::parse(ran.out);
  ASSERT_TRUE(tokens.is_array());
  EXPECT_EQ(tokens.back(), (json{{"id", 689}, {"piece", "<loc0051>"}}));
}

TEST(Tokenize, ShowsWhatControlsAndNewlinesAre) {
  const json tokens = json::parse(run_program({"tokenize", "--json", "<image><bos>a\n"}).out);
  std::vector<std::string> pieces;
  for (const json& token : tokens) pieces.push_back(token["piece"]);
  EXPECT_EQ(pieces, (std::vector<std::string>{"<image>", "<bos>", "a", "\n"}));
  EXPECT_EQ(tokens[0]["id"], 1790);
}

TEST(Tokenize, OfNothingIsNothing) {
  EXPECT_EQ(run_program({"tokenize", ""}).out, "");
  EXPECT_EQ(run_program({"tokenize", "", "--json"}).out, "[]\n");
}

TEST(Tokenize, TakesItsTextByFlagOrFromAFileToo) {
  TemporaryFolder folder;
  write_text(folder / "text.txt", "caption en\n");
  const std::string expected = run_program({"tokenize", "caption en"}).out;
  EXPECT_EQ(run_program({"tokenize", "-p", "caption en"}).out, expected);
  EXPECT_EQ(run_program({"tokenize", "-f", folder / "text.txt"}).out, expected);
}

TEST(Tokenize, UsesTheModelsOwnTokenizerOrTheGivenOne) {
  const std::string file = kGolden + "/tokenizer.model";
  const std::string expected = run_program({"tokenize", "ocr"}).out;
  EXPECT_EQ(run_program({"tokenize", "-m", kGolden2, "ocr"}).out, expected);
  EXPECT_EQ(run_program({"tokenize", "--tokenizer", file, "ocr"}).out, expected);
  EXPECT_TRUE(refuses(run_program({"tokenize", "--tokenizer", "/nonexistent", "ocr"}), 3));
}

TEST(Tokenize, RefusesWhatIsNoText) {
  EXPECT_TRUE(refuses(run_program({"tokenize"}), 2, {"tokenize TEXT"}));
  EXPECT_TRUE(refuses(run_program({"tokenize", "\xff"}), 2, {"UTF-8"}));
  EXPECT_TRUE(refuses(run_program({"tokenize", "two", "words"}), 2, {"words"}));
}

}  // namespace
}  // namespace paligemma
