#include "processing/tokenizer_file.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tensor/errors.h"
#include "tests/support/error_text.h"
#include "tests/support/run_program.h"
#include "tests/support/source_dir.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;
using Ids = std::vector<TokenId>;

const std::string kJson = read_bytes(source_dir() + "/tests/data/tokenizer/tokenizer.json");
const std::string kModel = read_bytes(source_dir() + "/tests/golden/paligemma1/tokenizer.model");
constexpr TokenId kImage = 1790, kRows = 1856;

class TokenizerFolder : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& bytes) { write_text(folder_ / name, bytes); }
  Tokenizer open(TokenId rows = kRows) const { return Tokenizer(folder_.path(), kImage, rows); }
  // What is said behind the folder's name.
  template <class Error>
  std::string refusal(TokenId rows = kRows) const {
    const std::string said = error_text<Error>([&] { open(rows); });
    const std::string folder = folder_.path().string() + "/";
    return said.starts_with(folder) ? said.substr(folder.size()) : said;
  }

  // tokenizer.json with one token more.
  static std::string json_with(const std::string& text) {
    auto json = nlohmann::json::parse(kJson);
    json["added_tokens"].push_back({{"id", 1791}, {"content", text}});
    return json.dump();
  }

  TemporaryFolder folder_;
};

// A preset of Keras, whose tokenizer.json names a class.
TEST_F(TokenizerFolder, MayHaveItInTheAssetsOfKeras) {
  put("tokenizer.json", R"({"class_name": "PaliGemmaTokenizer"})");
  std::filesystem::create_directories(folder_ / "assets/tokenizer");
  put("assets/tokenizer/vocabulary.spm", kModel);
  EXPECT_EQ(open().encode("red"), (Ids{376}));
}

TEST_F(TokenizerFolder, HasOneFileOrTheOther) {
  EXPECT_EQ(refusal<NotFoundError>(),
            "tokenizer.model: no such file, and no tokenizer.json beside it; give --tokenizer");
  put("tokenizer.json", kJson);
  EXPECT_EQ(open().encode("red"), (Ids{376}));
  EXPECT_EQ(open().encode("<mask>"), (Ids{4}));
  std::filesystem::remove(folder_ / "tokenizer.json");
  put("tokenizer.model", kModel);
  EXPECT_EQ(open().encode("red"), (Ids{376}));
}

TEST_F(TokenizerFolder, FilesMayHaveAnyName) {
  put("a.model", kJson);
  put("b.json", kModel);
  for (const char* name : {"a.model", "b.json"}) {
    EXPECT_EQ(Tokenizer(folder_ / name, kImage, kRows).encode("red"), (Ids{376})) << name;
  }
}

TEST_F(TokenizerFolder, PrefersTheModelAndSaysIfTheyDiffer) {
  put("tokenizer.model", kModel);
  put("tokenizer.json", kJson);
  EXPECT_EQ(open().note(), "");

  put("tokenizer.json", json_with("<car>"));
  const Tokenizer tokenizer = open();
  EXPECT_EQ(tokenizer.note(),
            "tokenizer.model is used, which has not <car> of tokenizer.json: for that "
            "one give --tokenizer " +
                (folder_ / "tokenizer.json").string());
  EXPECT_GT(tokenizer.encode("<car>").size(), 1u);
  EXPECT_EQ(Tokenizer(folder_ / "tokenizer.model", kImage, kRows).note(), "") << "it was asked for";

  for (const char* unreadable :
       {"", "{", "[]", "{\"added_tokens\": 1}", "{\"added_tokens\": [1]}"}) {
    put("tokenizer.json", unreadable);
    EXPECT_EQ(open().note(), "") << "it is not needed";
  }
}

TEST_F(TokenizerFolder, AddsTokensToTheModel) {
  put("tokenizer.model", kModel);
  put("added_tokens.json",
      R"({"<car>": 1800, "red car": 1792, "": 1793, "<image>": 1790, "<mask>": 4})");
  const Tokenizer tokenizer = open(1801);
  EXPECT_EQ(tokenizer.encode("detect <car>\n"), (Ids{410, 543, 1800, 5}));
  EXPECT_EQ(tokenizer.encode("red car"), (Ids{1792}));
  EXPECT_EQ(tokenizer.encode("<image>"), (Ids{kImage}));
  EXPECT_EQ(tokenizer.piece(1800), "<car>");
  EXPECT_EQ(tokenizer.piece(kImage), "<image>");
  EXPECT_EQ(tokenizer.piece(1795), "<1795>");
  EXPECT_GT(tokenizer.encode("<1795>").size(), 1u) << "an id without a token is no name";

  const Ids answer{650, 1800, 1795, 377, 1792};
  EXPECT_EQ(tokenizer.decode(answer), "<loc0012><car> redred car");
  DecodeStream stream(tokenizer);
  std::string text;
  for (TokenId id : answer) text += stream.step(id);
  EXPECT_EQ(text + stream.finish(), tokenizer.decode(answer));

  put("tokenizer.json", json_with("<car>"));
  EXPECT_NE(open(1801).note(), "") << "there it has another id";
  put("added_tokens.json", R"({"<car>": 1791})");
  EXPECT_EQ(open(1801).note(), "");
}

// As transformers 5.23 does.
TEST_F(TokenizerFolder, AddsTokensToTokenizerJsonToo) {
  put("tokenizer.json", kJson);
  put("added_tokens.json", R"({"<car>": 1791})");
  const Tokenizer tokenizer = open();
  EXPECT_EQ(tokenizer.encode("detect <car>"), (Ids{410, 543, 1791}));
  EXPECT_EQ(tokenizer.encode("<image>"), (Ids{kImage}));
  EXPECT_EQ(tokenizer.decode(Ids{kImage, 377, 1791}), " red<car>");
  put("tokenizer.json", json_with("<car>"));
  EXPECT_EQ(open().encode("detect <car>"), (Ids{410, 543, 1791}));
}

TEST_F(TokenizerFolder, RefusesTokensThatCannotBeAdded) {
  put("tokenizer.model", kModel);
  const auto said = [&](const std::string& text) {
    put("added_tokens.json", text);
    return refusal<ModelFileError>();
  };
  EXPECT_EQ(said(R"({"<car>": 1856})"),
            "added_tokens.json: <car> is 1856, the embedding table has 1856 rows");
  EXPECT_EQ(said(R"({"<car>": 300})"),
            "added_tokens.json: <car> is 300, which is another token's id");
  EXPECT_EQ(said(R"({"<car>": 1791, "<bus>": 1791})"),
            "added_tokens.json: <car> is 1791, which is another token's id");
  EXPECT_EQ(said(R"({"<mask>": 1791})"), "added_tokens.json: <mask> is 1791, the model's own is 4");
  EXPECT_EQ(said(R"({"<image>": 1791})"),
            "added_tokens.json: <image> is 1791, config.json says 1790");
  EXPECT_EQ(said(R"({"<car>": 1790})"),
            "tokenizer.model: config.json says that the image token is 1790, which here is <car>");
  EXPECT_TRUE(holds(said(R"({"<car>": "1791"})"),
                    "added_tokens.json.<car>: \"1791\" is not a whole number"));
  EXPECT_TRUE(holds(said(R"({"<car>": 1791, "<car>": 1792})"), "twice"));
  EXPECT_EQ(said(R"({"a\u0000b": 1791})"),
            "added_tokens.json: a\\x00b is 1791, and has a NUL, which is not supported");
  EXPECT_TRUE(holds(said("[]"), "added_tokens.json: not a JSON object"));
}

TEST_F(TokenizerFolder, SaysWhatStandsInPlaceOfATokenizer) {
  for (const char* name : {"tokenizer.json", "tokenizer.model"}) {
    put(name, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
    EXPECT_TRUE(
        holds(refusal<ModelFileError>(), std::string(name) + ": looks like a Git LFS pointer"));
    put(name, "<!doctype html><title>Sign in</title>");
    EXPECT_TRUE(holds(refusal<ModelFileError>(), std::string(name) + ": looks like an HTML page"));
    put(name, "red");
    EXPECT_EQ(refusal<ModelFileError>(), std::string(name) + ": not a SentencePiece model");
  }
}

}  // namespace
}  // namespace paligemma
