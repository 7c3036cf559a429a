#include "paligemma/pipeline.h"

#include <gtest/gtest.h>

#include "tensor/errors.h"
#include "tests/support/checkpoint_files.h"
#include "tests/support/compare.h"
#include "tests/support/error_text.h"
#include "tests/support/golden.h"

namespace paligemma {
namespace {

using namespace test;

std::vector<TokenId> ids_of(const Reply& answer) {
  std::vector<TokenId> ids;
  for (const GeneratedToken& token : answer.tokens) ids.push_back(token.id);
  return ids;
}

// Golden model, picture and all.
struct Asked {
  Golden golden;
  Pipeline<Reference> pipeline;
  Pipeline<Reference>::Picture picture;

  explicit Asked(int version, std::optional<WeightFormat> dtype = {})
      : golden(version),
        pipeline(reference, {.model = golden.folder, .dtype = dtype}),
        picture(pipeline.encode(read_image(golden.folder / "picture.png").view())) {}
};

class PipelineFolder : public ::testing::Test {
 protected:
  Pipeline<Reference> open(PipelineOptions options) { return {reference, options}; }
  Pipeline<Reference> open() { return open({.model = path_}); }

  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "model";
};

// docs/paligemma/pipeline.md, "A model that says what it was told to".
TEST_F(PipelineFolder, WorkedExample) {
  write_scripted_model(path_, "<loc0100><loc0200><loc0300><loc0400> red circle");
  const auto pipeline = open();
  const auto picture = pipeline.encode(read_image(kPicture).view());
  const Reply answer = pipeline.generate(picture, "detect red circle", {});
  EXPECT_EQ(answer.text, "<loc0100><loc0200><loc0300><loc0400> red circle");
  EXPECT_TRUE(answer.ended);
  EXPECT_EQ(answer.tokens.back().id, pipeline.tokenizer().eos());
  EXPECT_EQ(answer.note, "");
}

// Log probabilities of transformers 5.23.0, float32, to six digits; it sums in another order.
TEST_F(PipelineFolder, CapsTheLogitsOfTheFirstGemmaToo) {
  copy_golden(path_);
  auto config = nlohmann::json::parse(read_bytes(path_ / "config.json"));
  config["text_config"]["final_logit_softcapping"] = 2.0;
  write_text(path_ / "config.json", config.dump());
  const auto pipeline = open();
  const auto picture = pipeline.encode(read_image(kPicture).view());
  const Reply answer = pipeline.generate(picture, "ocr", {.max_tokens = 3});
  const float expected[] = {-6.689357f, -6.684221f, -6.693224f};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(answer.tokens[i].id, 5);
    EXPECT_NEAR(answer.tokens[i].log_probability, expected[i], 5e-6);
  }
}

TEST_F(PipelineFolder, EmbedsAPicture) {
  const auto pipeline = open({.model = kGolden});
  const auto image = read_image(kPicture);
  const auto rows = pipeline.embed(image.view(), {.pool = siglip::Pool::none, .projected = true});
  EXPECT_TRUE(close(rows.view(), pipeline.encode(image.view()).rows.view(), kExact));
  EXPECT_EQ(pipeline.default_pool(), siglip::Pool::mean);
  EXPECT_EQ(pipeline.embed(image.view(), {}).view().shape(), (std::array<Index, 2>{1, 36}));
  const EmbeddingRule attention{.pool = siglip::Pool::attention};
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] { pipeline.embed(image.view(), attention); }),
                    "no pooling head"));
}

// The same numbers, and nothing else is read.
TEST_F(PipelineFolder, OfAVisionTowerEmbeds) {
  copy_golden(path_);
  std::filesystem::remove(path_ / "tokenizer.model");
  const auto tower = open({.model = path_, .towers = Towers::vision});
  const auto image = read_image(kPicture);
  const auto expected = open({.model = kGolden}).embed(image.view(), {.projected = true});
  EXPECT_TRUE(
      close(tower.embed(image.view(), {.projected = true}).view(), expected.view(), kExact));
}

TEST_F(PipelineFolder, AnAnswerThatIsCutOffHasNotEnded) {
  write_scripted_model(path_, "red circle");
  const auto pipeline = open();
  const auto picture = pipeline.encode(read_image(kPicture).view());
  const Reply answer = pipeline.generate(picture, "", {.max_tokens = 1});
  EXPECT_FALSE(answer.ended);
  EXPECT_EQ(answer.tokens.size(), 1u);
  const Reply none = pipeline.generate(picture, "", {.max_tokens = 0});
  EXPECT_FALSE(none.ended);
  EXPECT_TRUE(none.tokens.empty());
  EXPECT_EQ(none.text, "");
}

// As in transformers, where the tokenizer's <eos> is one of them only if a file says so.
TEST_F(PipelineFolder, TheEndTokensOfTheConfigurationEnd) {
  write_scripted_model(path_, "red circle");
  const auto picture_of = [](const auto& pipeline) {
    return pipeline.encode(read_image(kPicture).view());
  };
  const auto before = open();
  const Reply whole = before.generate(picture_of(before), "", {});
  ASSERT_GE(whole.tokens.size(), 2u);
  write_text(path_ / "generation_config.json",
             nlohmann::json{{"eos_token_id", whole.tokens[1].id}}.dump());
  const auto after = open();
  EXPECT_EQ(after.config().end_tokens, std::set<TokenId>{whole.tokens[1].id});
  const Reply cut = after.generate(picture_of(after), "", {});
  EXPECT_TRUE(cut.ended);
  EXPECT_EQ(cut.tokens.size(), 2u);
  EXPECT_EQ(cut.text, after.tokenizer().decode(std::vector{whole.tokens[0].id}));
}

TEST_F(PipelineFolder, TextAppearsAsItsTokensDo) {
  for (int version : {1, 2}) {
    const Asked asked(version);
    std::vector<std::string> stretches;
    ReplyOptions options{.max_tokens = 32};
    options.on_text = [&](std::string_view text) { stretches.emplace_back(text); };
    const Reply answer = asked.pipeline.generate(asked.picture, asked.golden.prompt, options);
    std::string joined;
    for (const std::string& stretch : stretches) joined += stretch;
    EXPECT_EQ(joined, answer.text);
    EXPECT_GT(stretches.size(), 20u);
  }
}

// "é" is two byte tokens in this vocabulary: half of it must not be shown.
TEST_F(PipelineFolder, CharactersAppearWhole) {
  write_scripted_model(path_, "a\xc3\xa9z");
  const auto pipeline = open();
  const auto picture = pipeline.encode(read_image(kPicture).view());
  std::vector<std::string> stretches;
  ReplyOptions options;
  options.on_text = [&](std::string_view text) { stretches.emplace_back(text); };
  EXPECT_EQ(pipeline.generate(picture, "", options).text, "a\xc3\xa9z");
  EXPECT_EQ(stretches, (std::vector<std::string>{"a", "\xc3\xa9", "z"}));
}

TEST_F(PipelineFolder, TakesTheMaskDecoderBesideIt) {
  const std::string decoder = source_dir() + "/tests/golden/masks/vae-oid.npz";
  write_scripted_model(path_, "red circle");
  EXPECT_FALSE(open().mask_decoder());
  EXPECT_TRUE(open({.model = path_, .mask_decoder = decoder}).mask_decoder());
  EXPECT_THROW(open({.model = path_, .mask_decoder = path_ / "nowhere.npz"}), NotFoundError);
  std::filesystem::copy_file(decoder, path_ / "vae-oid.npz");
  EXPECT_TRUE(open().mask_decoder());
  EXPECT_TRUE(open({.model = path_ / "model.safetensors"}).mask_decoder());
  write_text(path_ / "vae-oid.npz", "hello");
  EXPECT_THROW(open(), ModelFileError);
}

TEST_F(PipelineFolder, APictureMayBeAskedManyThings) {
  const Asked asked(1);
  const ReplyOptions options{.max_tokens = 4};
  const auto ask = [&](std::string_view prompt) {
    return ids_of(asked.pipeline.generate(asked.picture, prompt, options));
  };
  const auto first = ask(asked.golden.prompt);
  EXPECT_NE(ask("ocr"), first);
  EXPECT_EQ(ask(asked.golden.prompt), first);
}

// Models of 224 and 448 pixels have rows of the same width.
// Some side by side, some alone since they search, guess or want several answers; one cannot be answered.
TEST_F(PipelineFolder, AnswersManyAsItAnswersEach) {
  copy_golden(path_);
  const auto pipeline = open();
  using Picture = Pipeline<Reference>::Picture;
  const auto picture =
      std::make_shared<const Picture>(pipeline.encode(read_image(kPicture).view()));
  const std::vector<std::pair<std::string, ReplyOptions>> asked{
      {"ocr", {.max_tokens = 5}},
      {"caption en", {.max_tokens = 3, .stop = {"e"}}},
      {"ocr", {.max_tokens = 4, .beams = {.beams = 2}}},
      {std::string("\xff"), {}},
      {"caption en", {.max_tokens = 6, .lookup = 2}},
      {"ocr", {.max_tokens = 3, .sampler = {.temperature = 1}, .answers = 2}},
      {"answer en what?", {.max_tokens = 2}}};
  std::size_t next = 0, waits = 0, errors = 0;
  std::vector<Reply> replies(asked.size());
  pipeline.generate_all(2, [&](bool is_waited_for) -> std::optional<Pipeline<Reference>::Request> {
    if (!is_waited_for && ++waits % 2 == 0) return std::nullopt;  // none yet
    if (next == asked.size()) return std::nullopt;
    const std::size_t i = next++;
    return Pipeline<Reference>::Request{
        picture, asked[i].first, asked[i].second,
        [&replies, i](Reply reply) { replies[i] = std::move(reply); },
        [&errors](const PromptError&) { ++errors; }};
  });
  EXPECT_EQ(next, asked.size());
  EXPECT_EQ(errors, 1u);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (i == 3) continue;
    SCOPED_TRACE(i);
    const Reply alone = pipeline.generate(*picture, asked[i].first, asked[i].second);
    EXPECT_EQ(ids_of(replies[i]), ids_of(alone));
    EXPECT_EQ(replies[i].text, alone.text);
    EXPECT_EQ(replies[i].prompt, alone.prompt);
    EXPECT_EQ(replies[i].ended, alone.ended);
    EXPECT_EQ(replies[i].stopped, alone.stopped);
    EXPECT_EQ(replies[i].others.size(), alone.others.size());
  }
}

TEST_F(PipelineFolder, RefusesAPictureOfAnotherModel) {
  write_scripted_model(path_, "red circle");
  const auto pipeline = open();
  const Index L = pipeline.config().vision.patches(), D = pipeline.config().text.width;
  const auto refusal = [&](Buffer<float, 2> rows) {
    const Pipeline<Reference>::Picture picture{std::move(rows), 0, 0};
    return error_text<ContractError>([&] { pipeline.generate(picture, "ocr", {}); });
  };
  const auto shape = [](Index rows, Index width) {
    return shape_text(View<const float, 2>(nullptr, {rows, width}));
  };
  EXPECT_TRUE(holds(refusal(Buffer<float, 2>({4 * L + 1, D})), shape(4 * L + 1, D), shape(L, D)));
  EXPECT_TRUE(holds(refusal(Buffer<float, 2>({0, D})), shape(0, D), shape(L, D)));
  EXPECT_TRUE(holds(refusal(Buffer<float, 2>({L, D + 1})), shape(L, D + 1), shape(L, D)));
}

TEST_F(PipelineFolder, WhatIsTypedInVainIsNoted) {
  const Asked asked(1);
  const auto ask = [&](std::string_view prompt) {
    return asked.pipeline.generate(asked.picture, prompt, {.max_tokens = 1});
  };
  const Reply plain = ask("ocr"), typed = ask("<image><bos>ocr");
  EXPECT_EQ(plain.note, "");
  EXPECT_NE(typed.note, "");
  EXPECT_EQ(typed.prompt, plain.prompt);
}

TEST_F(PipelineFolder, TwoHundredNewlinesAreAPromptToo) {
  const Asked asked(1);
  EXPECT_NO_THROW(
      asked.pipeline.generate(asked.picture, std::string(200, '\n'), {.max_tokens = 1}));
}

TEST_F(PipelineFolder, RefusesPromptsThatCannotBeAnswered) {
  const Asked asked(1);
  EXPECT_TRUE(
      holds(error_text<PromptError>([&] { asked.pipeline.generate(asked.picture, "caf\xe9", {}); }),
            "UTF-8"));
  const Index T = static_cast<Index>(asked.golden.prompt_ids.size());
  EXPECT_TRUE(holds(error_text<PromptError>([&] {
                      asked.pipeline.generate(asked.picture, asked.golden.prompt,
                                              {.max_tokens = 8192 - T + 1});
                    }),
                    std::to_string(T), "8192"));
}

TEST_F(PipelineFolder, ByDefaultAnswersAsLongAsThePositionsAllow) {
  copy_golden(path_);
  auto json = nlohmann::json::parse(read_bytes(path_ / "config.json"));
  const Index T = 25 + 2;  // picture, <bos>, "\n"
  json["text_config"]["max_position_embeddings"] = T + 3;
  write_text(path_ / "config.json", json.dump());
  const auto short_one = open();
  const auto picture = short_one.encode(read_image(kPicture).view());
  EXPECT_EQ(short_one.generate(picture, "", {}).tokens.size(), 3u);
  EXPECT_THROW(short_one.generate(picture, "", {.max_tokens = 4}), PromptError);

  json["text_config"]["max_position_embeddings"] = T;
  write_text(path_ / "config.json", json.dump());
  const auto full = open();
  EXPECT_THROW(full.generate(picture, "", {}), PromptError);
}

TEST_F(PipelineFolder, MayBeNamedByTheFolderOrAFile) {
  copy_golden(path_);
  EXPECT_NO_THROW(open({.model = path_}));
  EXPECT_NO_THROW(open({.model = path_ / "model.safetensors"}));
  EXPECT_THROW(open({.model = path_ / "nothing"}), NotFoundError);
}

TEST_F(PipelineFolder, SaysWhichFileIsMissing) {
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.model"}) {
    std::filesystem::remove_all(path_);
    copy_golden(path_);
    std::filesystem::remove(path_ / file);
    EXPECT_TRUE(holds(error_text<NotFoundError>([&] { open(); }), (path_ / file).string()));
  }
  for (const char* file : {"generation_config.json", "preprocessor_config.json"}) {
    std::filesystem::remove_all(path_);
    copy_golden(path_);
    std::filesystem::remove(path_ / file);
    EXPECT_NO_THROW(open()) << file;
  }
}

TEST_F(PipelineFolder, TheTokenizerMayBeElsewhere) {
  copy_golden(path_);
  const std::filesystem::path elsewhere = folder_.path() / "elsewhere.model";
  std::filesystem::rename(path_ / "tokenizer.model", elsewhere);
  EXPECT_NO_THROW(open({.model = path_, .tokenizer = elsewhere}));
}

TEST_F(PipelineFolder, TheTokenizerMayBeJson) {
  copy_golden(path_);
  const Golden golden(1);
  const auto answer = [&] {
    const Pipeline<Reference> pipeline(reference, {.model = path_});
    return pipeline.generate(pipeline.encode(read_image(golden.folder / "picture.png").view()),
                             "detect red", {.max_tokens = 3});
  };
  const Reply by_model = answer();
  std::filesystem::remove(path_ / "tokenizer.model");
  std::filesystem::copy_file(source_dir() + "/tests/data/tokenizer/tokenizer.json",
                             path_ / "tokenizer.json");
  const Reply by_json = answer();
  EXPECT_EQ(by_json.prompt, by_model.prompt);
  EXPECT_EQ(by_json.text, by_model.text);
}

// The filters differ in most pixels of a picture that shrinks.
TEST_F(PipelineFolder, TheFilterMayBeChosen) {
  const auto pixels = [](std::optional<ResampleFilter> filter) {
    const Golden golden(1);
    const Pipeline<Reference> pipeline(reference, {.model = golden.folder, .resample = filter});
    Recorder recorder;
    pipeline.encode(read_image(kPicture).view(), std::ref(recorder));
    return recorder.taps.at("img/pixels").numbers;
  };
  EXPECT_EQ(pixels({}), pixels(ResampleFilter::bicubic));
  EXPECT_NE(pixels({}), pixels(ResampleFilter::bilinear));
}

// bf16 fits into float with every bit. f16 has more digits, but loses the smallest weights; by far
// not enough to reach the smallest lead between two tokens of the golden answer.
TEST_F(PipelineFolder, WiderTypesInMemoryGiveTheSameAnswer) {
  const Golden golden(2);
  std::vector<RecordedTaps> taps;
  for (WeightFormat dtype : {WeightFormat::bf16, WeightFormat::f32, WeightFormat::f16}) {
    const Pipeline<Reference> pipeline(reference, {.model = golden.folder, .dtype = dtype});
    EXPECT_EQ(pipeline.dtype(), dtype);
    Recorder recorder;
    const TapListener listener = std::ref(recorder);
    const auto picture =
        pipeline.encode(read_image(golden.folder / "picture.png").view(), listener);
    const Reply answer = pipeline.generate(picture, golden.prompt, {.max_tokens = 32}, listener);
    EXPECT_EQ(ids_of(answer), golden.generated_ids) << name_of(dtype);
    taps.push_back(std::move(recorder.taps));
  }
  for (const auto& [name, tap] : taps[0]) EXPECT_EQ(tap.numbers, taps[1].at(name).numbers) << name;
}

TEST_F(PipelineFolder, KeepsTheStoredTypeUnlessToldOtherwise) {
  EXPECT_EQ(Asked(1).pipeline.dtype(), WeightFormat::f32);
  EXPECT_EQ(Asked(2).pipeline.dtype(), WeightFormat::bf16);
  EXPECT_EQ(Asked(1, WeightFormat::bf16).pipeline.dtype(), WeightFormat::bf16);
}

TEST_F(PipelineFolder, TheSeedDecidesTheAnswer) {
  const Asked asked(1);
  const auto with_seed = [&](std::uint64_t seed) {
    return asked.pipeline
        .generate(asked.picture, asked.golden.prompt,
                  {.max_tokens = 16, .sampler = {.temperature = 1, .seed = seed}})
        .text;
  };
  EXPECT_EQ(with_seed(7), with_seed(7));
  EXPECT_NE(with_seed(7), with_seed(8));
}

}  // namespace
}  // namespace paligemma
