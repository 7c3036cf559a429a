// `tokenize`: a text's tokens.
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_files.h"
#include "tests/support/error_text.h"

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

// As transformers 5 saves a fine-tuned model, and as it was saved before.
TEST(Tokenize, ReadsTokenizerJsonAndAddedTokens) {
  const std::string file = source_dir() + "/tests/data/tokenizer/tokenizer.json";
  const std::string expected = run_program({"tokenize", "detect red <loc0051>"}).out;
  EXPECT_EQ(run_program({"tokenize", "--tokenizer", file, "detect red <loc0051>"}).out, expected);

  TemporaryFolder folder;
  std::filesystem::copy_file(kGolden + "/config.json", folder / "config.json");
  std::filesystem::copy_file(file, folder / "tokenizer.json");
  const std::vector<std::string> red{"tokenize", "-m", folder.path(), "detect red <loc0051>"};
  Ran ran = run_program(red);
  EXPECT_EQ(ran.out, expected);
  EXPECT_EQ(ran.err, "");

  std::filesystem::copy_file(kGolden + "/tokenizer.model", folder / "tokenizer.model");
  write_text(folder / "added_tokens.json", R"({"<car>": 1791})");
  const std::vector<std::string> car{"tokenize", "-m", folder.path(), "detect <car>"};
  EXPECT_EQ(run_program(car).out, "410\t\"detect\"\n543\t\"▁\"\n1791\t\"<car>\"\n");
  write_text(folder / "added_tokens.json", R"({"<car>": 1856})");
  EXPECT_TRUE(refuses(run_program(car), 4, {"<car> is 1856", "1856 rows"}));

  auto more = json::parse(read_bytes(folder / "tokenizer.json"));
  more["added_tokens"].push_back({{"id", 1791}, {"content", "<bus>"}});
  write_text(folder / "tokenizer.json", more.dump());
  std::filesystem::remove(folder / "added_tokens.json");
  ran = run_program(red);
  EXPECT_EQ(ran.out, expected);
  EXPECT_EQ(count_lines(ran.err), 1u);
  EXPECT_TRUE(holds(ran.err, "note: ", "<bus>", "--tokenizer")) << ran.err;
}

TEST(Tokenize, RefusesWhatIsNoText) {
  EXPECT_TRUE(refuses(run_program({"tokenize"}), 2, {"tokenize TEXT"}));
  EXPECT_TRUE(refuses(run_program({"tokenize", "\xff"}), 2, {"UTF-8"}));
  EXPECT_TRUE(refuses(run_program({"tokenize", "two", "words"}), 2, {"words"}));
}

// As tests/golden/padding.json has it, whose left half has position ids of one kind only.
TEST(Tokenize, PadsABatchAsOthersDo) {
  const json golden = json::parse(read_bytes(source_dir() + "/tests/golden/padding.json"));
  TemporaryFolder folder;
  for (const char* side : {"left", "right"}) {
    for (const auto& [kind, given] : golden[side].items()) {
      std::string lines;
      for (const json& line : given["lines"]) lines += line.dump() + "\n\n";
      write_text(folder / "lines", lines);
      const Ran ran =
          run_program({"tokenize", "-m", kGolden, "--jsonl", folder / "lines", "--padding", side});
      ASSERT_EQ(ran.exit_code, 0) << ran;
      const json found = json::parse(ran.out);
      for (const auto& [name, rows] : given.items()) {
        if (name != "lines") {
          EXPECT_EQ(found[name], rows) << side << ", " << kind << ", " << name;
        }
      }
    }
  }
}

TEST(Tokenize, OfABatchCountsPictures) {
  const auto ids = [](const std::string& line) {
    const Ran ran =
        run_program({"tokenize", "-m", kGolden, "--jsonl", "-", "--padding=left"}, {.input = line});
    EXPECT_EQ(ran.exit_code, 0) << ran;
    return json::parse(ran.out)["input_ids"][0];
  };
  const json one = ids(R"({"prompt": "red"})");
  EXPECT_EQ(ids(R"({"prompt": "red", "image": "none.png", "id": 5})"), one);
  EXPECT_EQ(ids(R"({"prompt": "red", "images": ["a", "b"]})").size(), one.size() + 25);
  EXPECT_EQ(ids(R"({"prompt": "red", "images": []})").size(), one.size() - 25);
}

TEST(Tokenize, OfABadBatchIsRefused) {
  const auto pad = [](const std::string& lines, const char* side) {
    return run_program({"tokenize", "-m", kGolden, "--jsonl", "-", "--padding", side},
                       {.input = lines});
  };
  const std::string good = R"({"prompt": "red"})"
                           "\n";
  for (const char* side : {"left", "right"}) {
    EXPECT_TRUE(refuses(pad(good + "no", side), 2, {"line 2", "not JSON"}));
    EXPECT_TRUE(refuses(pad(good + "{}", side), 2, {"line 2", "prompt: missing"}));
    EXPECT_TRUE(refuses(pad(R"({"prompt": "red", "suffix": 5})", side), 2, {"line 1", "suffix"}));
  }
  EXPECT_TRUE(refuses(pad(R"({"prompt": "<image><image>"})", "left"), 2, {"line 1", "<image>"}));
  EXPECT_TRUE(refuses(pad(good, "middle"), 2, {"--padding", "left, right"}));
  EXPECT_TRUE(refuses(run_program({"tokenize", "--jsonl", "-"}), 2, {"--padding"}));
  EXPECT_TRUE(refuses(run_program({"tokenize", "red", "--padding", "left"}), 2, {"--jsonl"}));
}

}  // namespace
}  // namespace paligemma
