// A PalmE and a Transformer of zeta, asked on the command line as any model.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "processing/image_file.h"
#include "processing/normalize_pixels.h"
#include "processing/resize.h"
#include "processing/tokenizer.h"
#include "tests/support/npz_writer.h"
#include "tests/support/run_program.h"
#include "tests/support/zeta_folder.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

const std::string kPicture = source_dir() + "/tests/golden/paligemma1/picture.png";

std::string joined(std::span<const float> ids) {
  std::string text;
  for (const float id : ids) text += (text.empty() ? "" : ",") + std::to_string(std::lround(id));
  return text;
}

// The golden PalmE and its first picture and text; a Transformer that remembers.
class Zeta : public ::testing::Test {
 protected:
  Zeta() {
    write_zeta_model(palme_, "palme");
    write_zeta_model(transformer_, "mems_alibi", {{"max_seq_len", 5}});
    const NpyArray image = read_zeta("palme", "in/image");
    const Index S = image.shape[2];
    const std::vector<Index> shape{3, S, S};
    const std::span first(image.numbers.data(), static_cast<std::size_t>(3 * S * S));
    write_text(pixels_, npy_of(shape, first));
    const NpyArray text = read_zeta("palme", "in/text");
    text_.assign(text.numbers.begin(), text.numbers.begin() + text.shape[1]);
  }

  // With words, so that texts go in and out: "a" to "z", and three with more than a letter.
  void give_words(const json& more = {}) const {
    json config = json::parse(read_bytes(palme_ + "/config.json"));
    config["vocabulary"] = json::array();
    for (char c = 'a'; c <= 'z'; ++c) config["vocabulary"].push_back(std::string(1, c));
    for (const char* word : {" the", "<end>", "<start>"}) config["vocabulary"].push_back(word);
    config.update(more);
    write_text(palme_ + "/config.json", config.dump());
  }
  Ran ask(std::vector<std::string> more) const {
    std::vector<std::string> all{"-m",    palme_,     "--pixels",
                                 pixels_, "--tokens", joined(std::span(text_).first(3)),
                                 "-n",    "8"};
    all.insert(all.end(), more.begin(), more.end());
    return run_program(all);
  }
  Ran score(std::vector<std::string> more) const {
    more.insert(more.begin(),
                {"-m", transformer_, "--loss", "--tokens", "5,3,2,7,11,13,1,4,8,20,6"});
    return run_program(more);
  }

  TemporaryFolder folder_;
  const std::string palme_ = folder_ / "palme", transformer_ = folder_ / "transformer",
                    pixels_ = folder_ / "pixels.npy";
  std::vector<float> text_;
};

TEST_F(Zeta, SaysWhatZetaSays) {
  const NpyArray words = read_zeta("palme", "out/generated");
  const std::string expected = joined(std::span(words.numbers).first(8)) + "\n";
  for (const auto& how : {std::vector<std::string>{}, {"--reference"}, {"--kernels", "portable"}}) {
    const Ran ran = ask(how);
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(ran.out, expected) << ran;
    EXPECT_EQ(ran.err, "") << ran;
  }
}

TEST_F(Zeta, Json) {
  const Ran ran = ask({"--json"});
  const json all = json::parse(ran.out);
  EXPECT_EQ(all["model"]["arch"], "PalmE");
  EXPECT_EQ(all["model"]["image_size"], 24);
  EXPECT_EQ(all["prompt_tokens"], 3);
  EXPECT_EQ(all["finish_reason"], "length");
  EXPECT_TRUE(all["text"].is_null() && all["prompt"].is_null());
  const NpyArray words = read_zeta("palme", "out/generated");
  ASSERT_EQ(all["tokens"].size(), 8u);
  for (std::size_t k = 0; k < 8; ++k) {
    EXPECT_EQ(all["tokens"][k]["id"], words.numbers[k]);
    EXPECT_TRUE(all["tokens"][k]["piece"].is_null());
    EXPECT_LE(all["tokens"][k]["logprob"], 0);
  }
}

TEST_F(Zeta, DumpsAllRowsOfTheGivenTokens) {
  const std::string taps = folder_ / "taps";
  const Ran ran = run_program({"-m", palme_, "--reference", "--pixels", pixels_, "--tokens",
                               joined(text_), "-n", "2", "--dump", taps});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  for (const auto& [tap, output] :
       {std::pair{"img/encoded", "out/encoded"}, std::pair{"llm/logits", "out/logits"}}) {
    const std::string file = taps + "/" + tap + ".npy";
    const std::string bytes = read_bytes(file);
    const NpyArray found = parse_npy(std::as_bytes(std::span(bytes)), file);
    const NpyArray expected = read_zeta("palme", output);
    ASSERT_EQ(found.shape, (std::vector<Index>{expected.shape[1], expected.shape[2]})) << tap;
    const float tolerance = read_zeta("palme", "tol" + std::string(output).substr(3)).numbers[0];
    for (std::size_t i = 0; i < found.numbers.size(); ++i) {
      ASSERT_NEAR(found.numbers[i], expected.numbers[i], tolerance) << tap;
    }
  }
}

TEST_F(Zeta, WordsGoInAndOutWhereThereAreAny) {
  give_words({{"start_tokens", {28, 0}}, {"eos_token", 27}});
  const auto say = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"-m", palme_, "--pixels", pixels_, "-n", "3"});
    return run_program(more);
  };
  const Ran by_default = say({});
  EXPECT_EQ(by_default.exit_code, 0) << by_default;
  EXPECT_EQ(say({"-p", "<start>a"}).out, by_default.out);
  EXPECT_EQ(say({"--tokens", "28,0"}).out, by_default.out);
  const json all = json::parse(say({"-p", "<start>a", "--json"}).out);
  EXPECT_EQ(all["text"].get<std::string>() + "\n", by_default.out);
  EXPECT_EQ(all["prompt"], "<start>a");
  EXPECT_EQ(all["prompt_tokens"], 2);
  EXPECT_TRUE(refuses(say({"-p", "a?"}), 2, {"\"?\"", "vocabulary"}));
}

// A Transformer of 1856 words, of which the golden tokenizer has 1790.
TEST_F(Zeta, WordsArePiecesOfATokenizerModel) {
  const std::string made = folder_ / "made", config = folder_ / "config.json";
  write_text(config,
             R"({"architectures": ["ZetaTransformer"], "num_tokens": 1856, "max_seq_len": 32,
    "attn_layers": {"type": "Decoder", "dim": 16, "depth": 1, "heads": 2}})");
  const std::string tokenizer = source_dir() + "/tests/golden/paligemma1/tokenizer.model";
  ASSERT_EQ(run_program({"init", config, made, "--tokenizer", tokenizer}).exit_code, 0);
  const std::vector<std::string> say{"-m", made, "-p", "detect red circle", "-n", "9"};
  const auto with = [&](const std::string& flag) {
    std::vector<std::string> all = say;
    all.push_back(flag);
    return run_program(all);
  };
  const json all = json::parse(with("--json").out);
  EXPECT_EQ(all["prompt_tokens"], 3);
  const Tokenizer read(tokenizer, 1856);
  std::vector<TokenId> ids;
  for (const json& token : all["tokens"]) {
    ids.push_back(token["id"]);
    EXPECT_EQ(token["piece"], read.piece(ids.back()));
  }
  EXPECT_EQ(ids.size(), 9u);
  EXPECT_EQ(all["text"], read.decode(ids));
  EXPECT_EQ(run_program(say).out, read.decode(ids) + "\n");

  write_text(config,
             R"({"architectures": ["ZetaTransformer"], "num_tokens": 1789, "max_seq_len": 32,
    "attn_layers": {"type": "Decoder", "dim": 16, "depth": 1, "heads": 2}})");
  ASSERT_EQ(run_program({"init", config, made + "2", "--tokenizer", tokenizer}).exit_code, 0);
  EXPECT_TRUE(refuses(run_program({"-m", made + "2", "--tokens", "1"}), 4,
                      {"tokenizer.model", "1790 pieces", "1789 rows"}));
}

// The end token stands among the tokens and not in the text.
TEST_F(Zeta, EndsWithTheEndToken) {
  const NpyArray words = read_zeta("palme", "out/generated");
  const auto end = std::lround(words.numbers[2]);
  give_words({{"eos_token", end}});
  const json all = json::parse(ask({"--json"}).out);
  EXPECT_EQ(all["finish_reason"], "eos");
  EXPECT_EQ(all["tokens"].back()["id"], end);
  EXPECT_EQ(all["tokens"].size(), all["text"].get<std::string>().size() + 1);
  EXPECT_EQ(ask({}).err, "");
  give_words({{"eos_token", 27}});
  EXPECT_EQ(ask({}).err, "paligemma: note: the text is cut off at token 8; -n allows more\n");
}

TEST_F(Zeta, ScoresATextAndRemembers) {
  const Ran ran = score({});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  const double loss = std::stod(ran.out);
  EXPECT_GT(loss, 1);
  EXPECT_NEAR(json::parse(score({"--json"}).out)["loss"], loss, 1e-6);
  // Without memories it sees all words at once, with enough of them the same; with one row less.
  EXPECT_NEAR(std::stod(score({"--max-mem-len", "0"}).out), loss, 1e-5);
  EXPECT_GT(std::abs(std::stod(score({"--max-mem-len", "1"}).out) - loss), 1e-3);
}

TEST_F(Zeta, FiltersLeaveTokensOut) {
  const std::string greedy = ask({}).out;
  EXPECT_EQ(ask({"--temperature", "9", "--top-k-share", "0.99"}).out, greedy);
  EXPECT_EQ(ask({"--temperature", "9", "--top-k", "1"}).out, greedy);
  EXPECT_EQ(ask({"--temperature", "9", "--top-p", "0"}).out, greedy);
  EXPECT_NE(ask({"--temperature", "9"}).out, greedy);
  EXPECT_NE(ask({"--temperature", "9", "--top-a", "0.9"}).out, ask({"--temperature", "9"}).out);
}

// A picture is squashed as PaliGemma's are, and scaled to 0 ... 1.
TEST_F(Zeta, TakesAPicture) {
  const RgbImage image = read_image(kPicture, {.blends_alpha = true});
  RgbImage squashed({24, 24, 3});
  resize(image.view(), ResampleFilter::bicubic, squashed.view());
  std::vector<float> pixels;
  for (Index i = 0; i < 24 * 24 * 3; ++i) {
    pixels.push_back(static_cast<float>(squashed.view().data()[i]) / 255);
  }
  const std::vector<Index> shape{24, 24, 3};
  write_text(pixels_, npy_of(shape, pixels));
  const Ran ran = run_program({"-m", palme_, "--image", kPicture, "--tokens",
                               joined(std::span(text_).first(3)), "-n", "8"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out, ask({}).out);
}

TEST_F(Zeta, DrawsWhereEachWordLooks) {
  const std::string strip = folder_ / "strip.png";
  EXPECT_EQ(ask({"-o", strip}).exit_code, 0);
  const RgbImage image = read_image(strip);
  EXPECT_EQ(image.view().size(0), 4 * (24 + 4));      // 24 pixels four times as large, and a frame
  EXPECT_EQ(image.view().size(1), 9 * 4 * (24 + 4));  // the picture, and one for each of 8 words
}

TEST_F(Zeta, TracesAndTells) {
  const std::string trace = folder_ / "trace.json";
  const Ran ran = ask({"--perf", "--trace", trace});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  for (const char* line : {"vit ", "pp3 ", "tg7 "})
    EXPECT_NE(ran.err.find(line), std::string::npos);
  std::set<std::string> names;
  const json events = json::parse(read_bytes(trace))["traceEvents"];
  for (const json& event : events) names.insert(event["name"]);
  for (const char* name : {"load", "read", "img/encoded", "llm/block01/+ca", "llm/logits"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST_F(Zeta, RefusesWhatDoesNotFit) {
  EXPECT_TRUE(refuses(run_program({"-m", palme_, "--tokens", "1"}), 2, {"PalmE", "--image"}));
  EXPECT_TRUE(refuses(run_program({"caption", kPicture, "-m", palme_}), 2,
                      {palme_ + " is a PalmE; give it a picture: -m " + palme_ + " --image FILE"}));
  EXPECT_TRUE(refuses(run_program({"tokenize", "a", "-m", transformer_}), 2,
                      {"Transformer", "--tokens 5,3,2"}));
  EXPECT_TRUE(refuses(run_program({"-m", palme_, "--pixels", pixels_}), 2, {"--tokens 5,3,2"}));
  EXPECT_TRUE(refuses(run_program({"-m", palme_, "--pixels", pixels_, "-p", "a"}), 2,
                      {"without a vocabulary"}));
  for (const char* ids : {"29", "-1", "1,,2", "1,", "x", "1 2"}) {
    EXPECT_TRUE(refuses(run_program({"-m", transformer_, "--tokens=" + std::string(ids)}), 2,
                        {"from 0 to 28"}))
        << ids;
  }
  for (const auto& [flag, value] : {std::pair{"--tokenizer", "x"}, std::pair{"--softcap", "off"},
                                    std::pair{"--dtype", "int8"}}) {
    EXPECT_TRUE(refuses(ask({flag, value}), 2, {flag, "PalmE"}));
  }
  for (const auto& [flag, value] :
       {std::pair{"--image", kPicture}, std::pair{"--pixels", pixels_}}) {
    EXPECT_TRUE(refuses(run_program({"-m", transformer_, "--tokens", "1", flag, value}), 2,
                        {flag, "no picture"}));
  }
  EXPECT_TRUE(refuses(run_program({"-m", transformer_, "--tokens", "1", "-o", "a.png"}), 2,
                      {"--output", "Transformer"}));
  EXPECT_TRUE(refuses(score({"-n", "3"}), 2, {"--max-tokens"}));
  EXPECT_TRUE(refuses(run_program({"-m", transformer_, "--loss", "--tokens", "1"}), 2, {"--loss"}));
  EXPECT_TRUE(refuses(ask({"-p", "a"}), 2, {"both --tokens and a prompt"}));
  EXPECT_TRUE(refuses(run_program({"--image", kPicture, "-p", "ocr", "--loss"}), 2, {"--loss"}));
  EXPECT_TRUE(refuses(run_program({"caption", kPicture, "--tokens", "1"}), 2, {"--tokens"}));
  EXPECT_TRUE(refuses(ask({"--top-k-share", "1"}), 2, {"--top-k-share"}));
}

TEST_F(Zeta, BrokenModelsAreRefused) {
  write_text(palme_ + "/model.safetensors", "x");
  EXPECT_TRUE(refuses(ask({}), 4, {"model.safetensors"}));
  std::filesystem::remove(palme_ + "/model.safetensors");
  EXPECT_TRUE(refuses(ask({}), 3, {"model.safetensors"}));
  write_text(palme_ + "/config.json", R"({"architectures": ["PalmE"], "patch_sice": 4})");
  EXPECT_TRUE(refuses(ask({}), 4, {"patch_sice"}));
}

TEST_F(Zeta, IsInspectedMeasuredAndMade) {
  const Ran inspected = run_program({"inspect", palme_});
  EXPECT_EQ(inspected.exit_code, 0) << inspected;
  for (const char* part : {"PalmE", "24 x 24", "9 rows", "2 cross-attentions", "29",
                           "encoder.attn_layers.layers.*.*.to_q.weight"}) {
    EXPECT_NE(inspected.out.find(part), std::string::npos) << part << inspected;
  }
  EXPECT_EQ(json::parse(run_program({"inspect", transformer_, "--json"}).out)["arch"],
            "Transformer");

  const json timed =
      json::parse(run_program({"bench", "-m", palme_, "--rounds", "1", "--json"}).out);
  for (const char* what : {"encode", "pass", "word"}) EXPECT_GT(timed[what]["ms"], 0) << what;

  const std::string made = folder_ / "made";
  ASSERT_EQ(run_program({"init", palme_ + "/config.json", made}).exit_code, 0);
  const Ran ran = run_program({"-m", made, "--pixels", pixels_, "--tokens", "1", "-n", "2"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_NE(ran.err.find("untrained"), std::string::npos) << ran;
}

TEST_F(Zeta, APictureAloneHasClasses) {
  const std::string vit = folder_ / "vit";
  write_zeta_model(vit, "vit");
  const Ran ran = run_program({"-m", vit, "--pixels", pixels_});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), ','), 4) << ran;
  EXPECT_TRUE(refuses(run_program({"-m", vit, "--pixels", pixels_, "--tokens", "1"}), 2,
                      {"--tokens", "ViTransformerWrapper"}));
}

// A head that does not score words scores the text, at its last token.
TEST_F(Zeta, ATextHasClassesToo) {
  const std::string encoder = folder_ / "encoder", taps = folder_ / "taps";
  write_zeta_model(encoder, "encoder_masked");
  const std::vector<std::string> ask{"-m", encoder, "--tokens", "5,3,2"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), ask.begin(), ask.end());
    return run_program(more);
  };
  const json all = json::parse(with({"--json", "--dump", taps}).out);
  EXPECT_EQ(all["prompt_tokens"], 3);
  ASSERT_EQ(all["classes"].size(), 7u);
  const std::string file = taps + "/llm/logits.npy", bytes = read_bytes(file);
  const NpyArray logits = parse_npy(std::as_bytes(std::span(bytes)), file);
  ASSERT_EQ(logits.shape, (std::vector<Index>{3, 7}));
  for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ(all["classes"][i], logits.numbers[14 + i]);
  const Ran ran = with({});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), ','), 6) << ran;
  for (const char* flag : {"--loss", "-n2"}) {
    EXPECT_TRUE(refuses(with({flag}), 2, {"7 classes, not its 29 words"})) << flag;
  }
  EXPECT_EQ(run_program({"bench", "-m", encoder, "--rounds", "1"}).exit_code, 0);
}

}  // namespace
}  // namespace paligemma
