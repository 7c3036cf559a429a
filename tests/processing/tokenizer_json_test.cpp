#include "processing/tokenizer_json.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <random>

#include "processing/sentencepiece_model.h"
#include "tensor/errors.h"
#include "tests/support/error_text.h"
#include "tests/support/run_program.h"
#include "tests/support/source_dir.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::ordered_json;
using Ids = std::vector<TokenId>;

// The tiny model's tokenizer, as transformers 5.23 saves it; tests/data/PROVENANCE.md.
const std::string kJson = source_dir() + "/tests/data/tokenizer/tokenizer.json";
const std::string kModel = source_dir() + "/tests/golden/paligemma1/tokenizer.model";
constexpr TokenId kImage = 1790, kRows = 1856;

// What transformers 5.23's GemmaTokenizer makes of them, by that file, without <bos>.
const std::pair<std::string, Ids> kTexts[]{
    {"", {}},
    {"detect red circle ; blue star", {410, 377, 330, 407, 360, 332}},
    {"a" + std::string(33, ' ') + "red",
     {545, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 377}},
    {"  two  three   four ", {7, 549, 485, 7, 549, 487, 7, 476, 543}},
    {"answer en\nwhat color?\n\n\nred", {287, 281, 5, 556, 301, 390, 563, 6, 5, 376}},
    {"生活的真谛是",
     {239, 156, 167, 238, 188, 195, 239, 162, 140, 239, 164, 167, 240, 184, 163, 238, 160, 183}},
    {"😈🤗 é ü", {248, 167, 160, 144, 248, 167, 172, 159, 543, 203, 177, 543, 203, 196}},
    {"123 4567 + 89", {576, 583, 580, 543, 584, 581, 577, 582, 406, 543, 579, 578}},
    {"<bos>red<eos><pad><unk>", {2, 376, 1, 0, 3}},
    {"<loc0012><seg003> <image>red <mask>", {650, 1665, 543, kImage, 376, 543, 4}},
    {"▁▁ ▁ <0x41>\t\r", {7, 7, 543, 618, 586, 589, 584, 576, 619, 17, 21}},
};

class TokenizerJsonFile : public ::testing::Test {
 protected:
  Tokenizer open(const ordered_json& json, TokenId image = kImage, TokenId rows = kRows) {
    return open_text(json.dump(), image, rows);
  }

  Tokenizer open_text(const std::string& text, TokenId image = kImage, TokenId rows = kRows) {
    write_text(path_, text);
    return Tokenizer(path_, image, rows);
  }

  // What is said behind the file's name, or "".
  std::string refusal_of_text(const std::string& text, TokenId rows = kRows) {
    const std::string said = error_text<ModelFileError>([&] { open_text(text, kImage, rows); });
    return said.starts_with(path_.string()) ? said.substr(path_.string().size()) : said;
  }
  std::string refusal(const ordered_json& json, TokenId rows = kRows) {
    return refusal_of_text(json.dump(), rows);
  }

  // The good file with `value` at a path such as "/model/type".
  ordered_json with(const std::string& at, const ordered_json& value) const {
    ordered_json json = good_;
    json[ordered_json::json_pointer(at)] = value;
    return json;
  }
  ordered_json without(const std::string& in, const std::string& name) const {
    ordered_json json = good_;
    json[ordered_json::json_pointer(in)].erase(name);
    return json;
  }
  ordered_json with_token(TokenId id, const std::string& text, bool normalized = true,
                          bool special = false) const {
    ordered_json json = good_;
    json["added_tokens"].push_back({{"id", id},
                                    {"content", text},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", normalized},
                                    {"special", special}});
    return json;
  }

  const ordered_json good_ = ordered_json::parse(read_bytes(kJson));
  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_ / "tokenizer.json";
};

void expect_transformers_ids(const Tokenizer& tokenizer) {
  for (const auto& [text, ids] : kTexts) {
    EXPECT_EQ(tokenizer.encode(text), ids) << text;
    if (text.find("<bos>") == text.npos && text.find("<image>") == text.npos &&
        text.find("▁") == text.npos) {
      EXPECT_EQ(tokenizer.decode(ids), text);
    }
  }
}

TEST_F(TokenizerJsonFile, HasTransformersIds) {
  expect_transformers_ids(Tokenizer(kJson, kImage, kRows));
}

TEST_F(TokenizerJsonFile, KnowsItsOwnTokens) {
  const Tokenizer tokenizer(kJson, kImage, kRows);
  EXPECT_EQ(tokenizer.bos(), 2);
  EXPECT_EQ(tokenizer.eos(), 1);
  EXPECT_EQ(tokenizer.newline(), 5);
  EXPECT_EQ(tokenizer.loc(638), 0);
  EXPECT_EQ(tokenizer.seg(1789), 127);
  EXPECT_EQ(tokenizer.piece(377), "▁red");
  EXPECT_EQ(tokenizer.piece(kImage), "<image>");
  EXPECT_EQ(tokenizer.piece(1791), "<1791>");
  EXPECT_EQ(tokenizer.note(), "");
}

// A text of words, blanks, newlines, tokens and characters by chance. Three blanks and more are tokens that
// differ, as they do between transformers and SentencePiece.
TEST_F(TokenizerJsonFile, HasTheIdsOfTheModelItWasMadeOf) {
  const Tokenizer json(kJson, kImage, kRows), model(kModel, kImage, kRows);
  const std::string parts[]{"red",       "circle", " ",      " an",      "\n",   "\n\n\n",
                            "<loc0700>", "x",      "é",      "<seg004>", "真",   "12",
                            "<eos>",     "?",      "<loc",   "Q",        "er",   "<mas",
                            "<bo>",      "\x01",   "<0x41>", "swer",     "left", "\t"};
  std::mt19937 random(1);
  for (int i = 0; i < 1000; ++i) {
    std::string text;
    for (auto count = random() % 12; count > 0; --count) text += parts[random() % std::size(parts)];
    for (std::size_t at; (at = text.find("   ")) != text.npos;) text.erase(at, 1);
    const Ids ids = model.encode(text);
    ASSERT_EQ(json.encode(text), ids) << text;
    ASSERT_EQ(json.decode(ids), model.decode(ids)) << text;
  }
}

// A vocabulary of 60 pieces by chance, many of which several merges make, and runs of up to 8 blanks.
ordered_json random_vocabulary(ordered_json json) {
  std::vector<std::string> pieces{"<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\n"}, runs, made;
  for (int i = 2; i <= 8; ++i) runs.push_back(replaced(std::string(i, ' '), " ", "▁"));
  std::vector<std::string> pool{"▁", "a", "b", "c", "d", "é", "真", "1"};
  const std::vector<std::string> letters = pool;
  std::mt19937 random(7);
  while (made.size() < 60) {
    const std::string left = pool[random() % pool.size()], right = pool[random() % pool.size()];
    const std::string piece = left + right;
    const bool is_blanks = replaced(piece, "▁", "").empty();
    if (is_blanks || piece.size() > 12 || std::count(pool.begin(), pool.end(), piece) > 0) continue;
    made.push_back(piece);
    pool.push_back(piece);
  }
  pieces.insert(pieces.end(), runs.begin(), runs.end());
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    pieces.emplace_back(name);
  }
  for (const auto& more : {made, letters}) pieces.insert(pieces.end(), more.begin(), more.end());

  ordered_json vocab, merges = ordered_json::array(), added = ordered_json::array();
  for (const ordered_json& token : json["added_tokens"]) {
    const std::string text = token["content"];
    if (text.starts_with("<loc") || text.starts_with("<seg")) pieces.push_back(text);
  }
  for (const std::string& piece : pieces) vocab[piece] = vocab.size();
  for (ordered_json token : json["added_tokens"]) {
    const std::string text = token["content"];
    if (!vocab.contains(text) && text != "<image>") continue;
    token["id"] = text == "<image>" ? ordered_json(pieces.size()) : vocab[text];
    added.push_back(token);
  }
  // By score; of one score by the ids of both parts. The runs' scores are one and the best.
  const auto add_merges = [&](const std::vector<std::string>& unions) {
    std::vector<std::array<int, 2>> parts;
    for (const std::string& piece : unions) {
      for (std::size_t at = 1; at < piece.size(); ++at) {
        const std::string left = piece.substr(0, at), right = piece.substr(at);
        if (vocab.contains(left) && vocab.contains(right))
          parts.push_back({vocab[left], vocab[right]});
      }
    }
    std::sort(parts.begin(), parts.end());
    for (const auto& [left, right] : parts) {
      merges.push_back(
          {pieces[static_cast<std::size_t>(left)], pieces[static_cast<std::size_t>(right)]});
    }
  };
  add_merges(runs);
  for (const std::string& piece : made) add_merges({piece});
  json["model"]["vocab"] = vocab;
  json["model"]["merges"] = merges;
  json["added_tokens"] = added;
  return json;
}

// By tokenizers 0.23.3.
TEST_F(TokenizerJsonFile, HasTokenizersIdsOfARandomVocabulary) {
  const ordered_json json = random_vocabulary(good_);
  const auto image = json["added_tokens"].back()["id"].get<TokenId>();
  const Tokenizer tokenizer = open(json, image);
  const std::pair<std::string, Ids> texts[]{
      {"a" + std::string(33, ' ') + "b", {330, 12, 12, 12, 12, 329, 331}},
      {std::string(17, ' '), {12, 12, 329}},
      {"  ab  ba   cd\n\nd 1", {6, 330, 331, 6, 275, 7, 332, 333, 5, 5, 333, 295}},
      {"d c真 ba é dd    1cdc 1ab",
       {333, 329, 332, 335, 329, 275, 329, 334, 329, 333, 333, 8, 336, 332, 333, 332, 295, 330,
        331}},
      {"caéaé 111 c真bac dé1é1 1真",
       {332, 330, 286, 334, 295, 336, 336, 329, 332, 335, 275, 332, 329, 285, 334, 336, 295, 335}},
      {" 1d真aéc真 bdéébb  b真b1caé", {329, 269, 335, 330, 334, 332, 335, 329, 331, 273, 334,
                                       331, 331, 6,   331, 335, 331, 336, 332, 330, 334}},
      {"11baa1真 é daéabb ad1ééca", {336, 270, 330, 330, 336, 335, 329, 334, 329, 333, 330,
                                     286, 331, 331, 329, 330, 333, 288, 334, 332, 330}},
      {"真真真c11  1 b é1dé1é é 真a1",
       {335, 335, 335, 271, 336, 6, 336, 329, 331, 329, 334, 269, 334, 288, 329, 334, 272, 330,
        336}},
      {"1éc1é c1     c11dc1édéd1dc1éébc1ébc1ac11dabad1d",
       {288, 290, 9, 287, 279, 269, 274, 334, 331, 274, 276, 330, 277, 307}},
      {"abad1d c1 真真c11db    1d    dc11ddbad1d 真d",
       {307, 289, 272, 303, 8, 269, 8, 309, 294, 320}},
      {"ébc1éc1é c1bac11ddc1bac11dddé1éc1é c1dc11dd 1ébc1",
       {334, 331, 274, 274, 329, 332, 270, 330, 280, 332, 270, 330,
        280, 285, 334, 274, 329, 332, 269, 280, 329, 288, 276}},
      {" c11dc1éba     é真c11dbac11ddébc11é1d1dc1é c1éé",
       {310, 275, 9, 334, 278, 275, 277, 273, 276, 326, 274, 329, 274, 334}},
  };
  for (const auto& [text, ids] : texts) {
    EXPECT_EQ(tokenizer.encode(text), ids) << text;
    EXPECT_EQ(tokenizer.decode(ids), text);
  }
}

// As the hub's files are written.
TEST_F(TokenizerJsonFile, MayBeWrittenInOtherWays) {
  expect_transformers_ids(open_text(good_.dump(2)));
  expect_transformers_ids(open_text(good_.dump(-1, ' ', true)));  // "\u2581"

  ordered_json other = good_;
  other["pre_tokenizer"] = nullptr;
  other["normalizer"] = {{"type", "Sequence"}, {"normalizers", {good_["normalizer"]}}};
  other["truncation"] = {{"direction", "Right"}, {"max_length", 3}};
  other["padding"] = {{"strategy", "BatchLongest"}};
  other["model"]["dropout"] = 0.0;
  other["model"]["continuing_subword_prefix"] = "";
  for (ordered_json& merge : other["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  expect_transformers_ids(open(other));

  ordered_json last = without("", "added_tokens"), model = last["model"];
  last.erase("model");
  last.erase("version");
  last["model"] = model;
  last["added_tokens"] = good_["added_tokens"];
  expect_transformers_ids(open(last));
}

// The prompt has its own <bos>.
TEST_F(TokenizerJsonFile, PutsNothingAroundAText) {
  const auto sequence = ordered_json{{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const auto special = [](const char* id) {
    return ordered_json{{"SpecialToken", {{"id", id}, {"type_id", 0}}}};
  };
  ordered_json json = good_;
  json["post_processor"]["single"] = {special("<bos>"), sequence, special("<eos>")};
  EXPECT_EQ(open(json).encode("red"), (Ids{376}));
  json["post_processor"]["single"] = {special("<mask>"), sequence};
  EXPECT_EQ(refusal(json), ".post_processor.single: <mask> is put around a text");
  json["post_processor"] = nullptr;
  EXPECT_EQ(open(json).encode("red"), (Ids{376}));
}

TEST_F(TokenizerJsonFile, IsRefusedByTheFieldThatWouldChangeIds) {
  const std::tuple<std::string, ordered_json, std::string> fields[]{
      {"/version", "2.0", ".version: 2.0 is not 1.0"},
      {"/more", 1, ".more: not known, so it may change ids"},
      {"/normalizer", nullptr, ".normalizer: null is not a Gemma tokenizer's"},
      {"/normalizer", "NFC", ".normalizer: no object is not a Gemma tokenizer's"},
      {"/normalizer",
       {{"type", "NFC"}},
       R"(.normalizer: {"type":"NFC"} is not a Gemma tokenizer's)"},
      {"/normalizer/content", "_", ".normalizer: {"},
      {"/normalizer/pattern", {{"Regex", " "}}, ".normalizer: {"},
      {"/pre_tokenizer", {{"type", "Whitespace"}}, ".pre_tokenizer: {"},
      {"/pre_tokenizer/behavior", "Isolated", ".pre_tokenizer: {"},
      {"/post_processor", {{"type", "ByteLevel"}}, ".post_processor.type: ByteLevel is not"},
      {"/decoder", nullptr, ".decoder: null is not"},
      {"/decoder", {{"type", "Metaspace"}}, ".decoder: {"},
      {"/model", nullptr, ".model: missing, or not an object"},
      {"/model", ordered_json::array(), ".model: missing, or not an object"},
      {"/model/type", "Unigram", ".model.type: Unigram is not supported, only BPE is"},
      {"/model/dropout", 0.1, ".model.dropout: not supported"},
      {"/model/dropout", "0", ".model.dropout: \"0\" is not a number"},
      {"/model/unk_token", "<mask>", ".model.unk_token: <mask> is not <unk>"},
      {"/model/unk_token", nullptr, ".model.unk_token: missing"},
      {"/model/continuing_subword_prefix", "##", ".model.continuing_subword_prefix: not supported"},
      {"/model/end_of_word_suffix", "</w>", ".model.end_of_word_suffix: not supported"},
      {"/model/byte_fallback", false, ".model.byte_fallback: must be true"},
      {"/model/byte_fallback", nullptr, ".model.byte_fallback: must be true"},
      {"/model/ignore_merges", true, ".model.ignore_merges: not supported"},
      {"/model/cache", 1, ".model.cache: not known"},
      {"/model/vocab", nullptr, ".model.vocab: not known"},
      {"/model/merges", "a b", ".model.merges: not known"},
      {"/added_tokens", nullptr, ".added_tokens: missing, or not a list"},
      {"/added_tokens/4", "<mask>", ".added_tokens: \"<mask>\" is not an object"},
      {"/added_tokens/4/lstrip", true, ".added_tokens.lstrip: not supported"},
      {"/added_tokens/4/rstrip", true, ".added_tokens.rstrip: not supported"},
      {"/added_tokens/4/single_word", true, ".added_tokens.single_word: not supported"},
      {"/added_tokens/4/id", -1, ".added_tokens.id: -1 is not a whole number"},
      {"/added_tokens/4/content", 4, ".added_tokens.content: 4 is not a text"},
      {"/added_tokens/4/content", "<car>",
       ".added_tokens.id: <car> is 4, and transformers would read 1790"},
  };
  for (const auto& [at, value, said] : fields) {
    EXPECT_TRUE(holds(refusal(with(at, value)), said)) << at << " " << value;
  }
  ordered_json unigram = with("/model/type", "Unigram");
  unigram["model"]["vocab"] = ordered_json::array({{"a", -1.5}});
  unigram["model"].erase("merges");
  EXPECT_EQ(refusal(unigram), ".model.type: Unigram is not supported, only BPE is");
}

TEST_F(TokenizerJsonFile, HasEveryIdOnce) {
  const auto said = [&](const std::string& piece, const ordered_json& id) {
    ordered_json json = good_;
    json["model"]["vocab"][piece] = id;
    return refusal(json);
  };
  EXPECT_EQ(said("red", 377), ".model.vocab: the id 377 is there twice");
  EXPECT_EQ(said("red", 1790), ".model.vocab: the id 1790 is past the number of pieces, 1790");
  EXPECT_TRUE(holds(said("red", -1), ": not JSON: byte "));
  EXPECT_TRUE(holds(said("red", 1.5), ": not JSON: byte "));
  EXPECT_TRUE(holds(said("red", "1"), ": not JSON: byte "));
  const auto said_of_last = [&](const std::string& piece) {
    ordered_json json = good_;
    json["model"]["vocab"][piece] = 1790;
    json["added_tokens"] = ordered_json::array();
    return refusal(json);
  };
  EXPECT_EQ(said_of_last(""), ".model.vocab: the id 1790 is an empty piece's");
  EXPECT_EQ(said_of_last(std::string("a\0b", 3)),
            ".model.vocab: a\\x00b has a NUL, which is not supported");
  EXPECT_TRUE(holds(said_of_last(std::string(65, 'x')), "... has more than 64 characters"));
  EXPECT_EQ(refusal(with("/model/vocab", ordered_json::object())), ".model.vocab: has no <0x00>");
  EXPECT_EQ(refusal(with("/model/vocab", {{"a", 0}})), ".model.vocab: has no <0x00>");
}

TEST_F(TokenizerJsonFile, LacksNoSingleByte) {
  for (const std::string piece : {"<0x00>", "<0x41>", "<0xFF>", "<unk>", "<bos>"}) {
    ordered_json json = good_;
    const ordered_json id = json["model"]["vocab"][piece];
    json["model"]["vocab"].erase(piece);
    json["model"]["vocab"]["<other>"] = id;
    EXPECT_EQ(refusal(json), ".model.vocab: has no " + piece);
  }
}

TEST_F(TokenizerJsonFile, HasTheMergesThatScoresCanSay) {
  ordered_json json = good_;
  ordered_json& merges = json["model"]["merges"];
  const auto place = std::find(merges.begin(), merges.end(), ordered_json{"a", "n"});
  ASSERT_NE(place, merges.end());
  merges.erase(place);
  EXPECT_EQ(refusal(json),
            R"(.model.merges: "a" + "n" are missing, though their union is a piece)");
  merges.push_back({"a", "n"});
  merges.push_back({"a", "n"});
  EXPECT_EQ(refusal(json), R"(.model.merges: "a" + "n" stand there twice)");
  merges.back() = {"q", "z"};
  EXPECT_EQ(refusal(json), R"(.model.merges: "q" + "z" are not three pieces, with their union)");
  for (const ordered_json& odd : {ordered_json::array(), ordered_json{"a"},
                                  ordered_json{"a", "x", "n"}, ordered_json("an")}) {
    merges.back() = odd;
    EXPECT_TRUE(holds(refusal(json), " are not three pieces, with their union")) << odd;
  }
  for (const ordered_json& odd : {ordered_json(1), ordered_json{1, 2}, ordered_json(nullptr)}) {
    merges.back() = odd;
    EXPECT_TRUE(holds(refusal(json), ": not JSON: byte ")) << odd;
  }
}

// "ab" of two merges would have two ranks; runs of one character may.
TEST_F(TokenizerJsonFile, HasTheMergesOfAPieceSideBySide) {
  ordered_json json = good_;
  ordered_json& vocab = json["model"]["vocab"];
  ordered_json& merges = json["model"]["merges"];
  ASSERT_TRUE(vocab.contains("a") && vocab.contains("b") && vocab.contains("c"));
  int id = 1790;
  for (const char* piece : {"ab", "bc", "abc"}) vocab[piece] = id++;
  json["added_tokens"].back()["id"] = id;
  for (const auto& [left, right] :
       {std::pair("a", "b"), std::pair("ab", "c"), std::pair("b", "c"), std::pair("a", "bc")}) {
    merges.push_back({left, right});
  }
  write_text(path_, json.dump());
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] { Tokenizer(path_, id, kRows); }),
                    R"("a" + "bc" do not stand beside the other merges of their union)"));
  std::swap(merges[merges.size() - 3], merges[merges.size() - 2]);
  EXPECT_EQ(open(json, id).encode("abcab"), (Ids{1792, 1790}));
}

TEST_F(TokenizerJsonFile, MayHaveMoreTokens) {
  const Tokenizer tokenizer = open(with_token(1791, "<car>"));
  EXPECT_EQ(tokenizer.encode("detect <car>"), (Ids{410, 543, 1791}));
  EXPECT_EQ(tokenizer.piece(1791), "<car>");
  EXPECT_EQ(tokenizer.decode(Ids{377, 1791}), " red<car>");
  DecodeStream stream(tokenizer);
  EXPECT_EQ(stream.step(1791), "<car>");

  EXPECT_EQ(refusal(with_token(1800, "<car>")),
            ".added_tokens.id: <car> is 1800, and transformers would read 1791");
  EXPECT_EQ(refusal(with_token(1791, "<car>"), 1791),
            ": has 1792 pieces, the embedding table has 1791 rows");
  EXPECT_EQ(open(with_token(1791, "")).encode("red"), (Ids{376})) << "as if it were not there";
  EXPECT_EQ(refusal(with_token(1791, std::string("a\0b", 3))),
            ".added_tokens.content: a\\x00b has a NUL, which is not supported");
  EXPECT_EQ(refusal(with_token(73, "<0x41>")), ".added_tokens.content: <0x41> is a single byte");
}

TEST_F(TokenizerJsonFile, HasTheImageTokenWhereConfigJsonSays) {
  write_text(path_, good_.dump());
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] { Tokenizer(path_, 1791, kRows); }),
                    ".added_tokens.id: <image> is 1790, config.json says 1791"));
  EXPECT_NO_THROW(Tokenizer(path_, kImage, kImage)) << "the row behind the last";
}

// By tokenizers 0.23.3.
TEST_F(TokenizerJsonFile, FindsTokensAsTypedOrAsWritten) {
  const Tokenizer typed = open(with_token(1791, "red car", false));
  EXPECT_EQ(typed.encode("red car"), (Ids{1791}));
  EXPECT_EQ(typed.encode("red▁car").front(), 376);
  const Tokenizer either = open(with_token(1791, "red car", true));
  EXPECT_EQ(either.encode("red car"), (Ids{1791}));
  EXPECT_EQ(either.encode("red▁car"), (Ids{1791}));
  EXPECT_EQ(either.decode(Ids{1791}), "red car");
  const Tokenizer before = open(with_token(1791, "2>x", false));
  EXPECT_EQ(before.encode("<loc0012>x").back(), 1791) << "what is as typed is taken first";
  const Tokenizer longest = open(with_token(1791, "<eos>s", false));
  EXPECT_EQ(longest.encode("<eos>s<eos>"), (Ids{1791, 1}));
  EXPECT_EQ(
      refusal(with_token(1791, "▁car", false)),
      ".added_tokens.normalized: false is not supported of a token with U+2581 that vocab has not");
}

TEST_F(TokenizerJsonFile, GivesSpecialTokensNoText) {
  for (const bool normalized : {false, true}) {
    const Tokenizer tokenizer = open(with_token(1791, "<car>", normalized, true));
    EXPECT_EQ(tokenizer.encode("red<car>"), (Ids{376, 1791}));
    EXPECT_EQ(tokenizer.decode(Ids{376, 1791}), "red");
    DecodeStream stream(tokenizer);
    EXPECT_EQ(stream.step(1791), "");
  }
  ordered_json json = good_;
  json["added_tokens"].erase(2);  // <bos>
  EXPECT_EQ(open(json).decode(Ids{2, 376}), "red");
  json = good_;
  for (ordered_json& token : json["added_tokens"]) token["special"] = true;
  EXPECT_EQ(open(json).decode(Ids{650, 1665}), "<loc0012><seg003>") << "boxes and masks have one";
}

TEST_F(TokenizerJsonFile, IsRefusedIfItIsNoJson) {
  const std::string good = good_.dump();
  for (const std::string text :
       {"{", "{}", "{\"model\"", "{\"model\":{\"vocab\":{", "{\"model\":{}}", "{]"}) {
    EXPECT_NE(refusal_of_text(text), "") << text;
  }
  EXPECT_TRUE(holds(refusal_of_text(good.substr(0, good.size() / 2)), "not JSON"));
  EXPECT_TRUE(holds(refusal_of_text(good + "x"), "not JSON: byte "));
  EXPECT_TRUE(holds(refusal_of_text("{\"version\":\"1.0\"," + good.substr(1)), "twice"));
  std::string bad = good;
  bad[bad.find("▁red")] = '\xff';
  EXPECT_TRUE(holds(refusal_of_text(bad), ".model."));
}

}  // namespace
}  // namespace paligemma
