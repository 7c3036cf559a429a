// Answers: the JSON object, boxes, times, a picture with boxes, and prompts line by line.
#include <cmath>
#include <nlohmann/json.hpp>

#include "processing/image_file.h"
#include "processing/segmentation.h"
#include "processing/write_image.h"
#include "tests/support/checkpoint_files.h"
#include "tests/support/compare.h"
#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

const std::string kBoxes =
    "<loc0100><loc0200><loc0700><loc0800> red circle ;<loc0001><loc0002><loc0003><loc0004> blue";

json json_of(const Ran& ran) {
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(count_lines(ran.out), 1u) << ran;
  return json::parse(ran.out);
}

std::set<std::string> keys_of(const json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

// A model that answers with two boxes.
class Boxes : public ::testing::Test {
 protected:
  Boxes() { write_scripted_model(folder_.path(), kBoxes); }
  Ran ask(const std::vector<std::string>& more) const {
    std::vector<std::string> words{"-m",     folder_.path(), "--image",
                                   kPicture, "-p",           "detect red circle ; blue"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }
  TemporaryFolder folder_;
};

TEST_F(Boxes, JsonIsOneObjectWithTheDocumentedKeys) {
  const json object = json_of(ask({"--json"}));
  EXPECT_EQ(keys_of(object), (std::set<std::string>{"version", "model", "device", "image", "prompt",
                                                    "prompt_tokens", "tokens", "finish_reason",
                                                    "text", "objects", "timings_ms", "seed"}));
  EXPECT_EQ(keys_of(object["model"]),
            (std::set<std::string>{"id", "arch", "image_size", "params", "dtype", "trained"}));
  EXPECT_EQ(keys_of(object["image"]), (std::set<std::string>{"path", "width", "height"}));
  EXPECT_EQ(keys_of(object["tokens"][0]), (std::set<std::string>{"id", "piece", "logprob"}));
  EXPECT_EQ(keys_of(object["objects"][0]),
            (std::set<std::string>{"label", "box_yxyx_bins", "box_xyxy_px", "mask_codes",
                                   "mask_png_base64"}));
  EXPECT_EQ(keys_of(object["timings_ms"]),
            (std::set<std::string>{"load", "preprocess", "vit", "projector", "prefill", "decode",
                                   "per_token"}));
}

TEST_F(Boxes, JsonSaysWhatWasAskedOfWhat) {
  const json object = json_of(ask({"--json", "--seed", "7"}));
  EXPECT_EQ(object["model"]["id"], folder_.path().string());
  EXPECT_EQ(object["model"]["arch"], "paligemma");
  EXPECT_EQ(object["model"]["image_size"], 12);
  EXPECT_EQ(object["model"]["dtype"], "f32");
  EXPECT_EQ(object["device"], "cpu");
  EXPECT_EQ(object["image"], (json{{"path", kPicture}, {"width", 45}, {"height", 37}}));
  EXPECT_EQ(object["prompt"], "detect red circle ; blue");
  EXPECT_EQ(object["seed"], 7);
  EXPECT_EQ(object["text"], kBoxes);
}

TEST_F(Boxes, JsonCountsThePicturesTokensInThePrompt) {
  const json object = json_of(ask({"--json"}));
  const json words = json_of(
      run_program({"tokenize", "-m", folder_.path(), "--json", "detect red circle ; blue"}));
  EXPECT_EQ(object["prompt_tokens"], 4 + 1 + words.size() + 1);  // picture, <bos>, words, newline
}

TEST_F(Boxes, JsonHoldsTheEndTokenWhenItCame) {
  const json whole = json_of(ask({"--json"}));
  EXPECT_EQ(whole["finish_reason"], "eos");
  EXPECT_EQ(whole["tokens"].back()["piece"], "<eos>");
  EXPECT_EQ(whole["tokens"].back()["id"], 1);
  EXPECT_EQ(whole["timings_ms"]["per_token"].size(), whole["tokens"].size());

  const json part = json_of(ask({"--json", "-n", "4"}));
  EXPECT_EQ(part["finish_reason"], "length");
  EXPECT_EQ(part["tokens"].size(), 4u);
  EXPECT_EQ(part["tokens"].back()["piece"], "<loc0800>");
}

// Every other token has logit 0; the head's row and the normed state are one unit vector of 48.
TEST_F(Boxes, JsonGivesLogProbabilitiesToSixDigits) {
  const json object = json_of(ask({"--json"}));
  const double logit = std::sqrt(48 / (1 + 1e-6));  // the norm's eps shows
  const double expected = logit - std::log(std::exp(logit) + 1855);
  EXPECT_NEAR(object["tokens"][0]["logprob"].get<double>(), expected,
              0.5e-6 + 4 * 6.93 * kUnitRoundoff);
}

TEST_F(Boxes, AreBinsOver1023TimesTheSide) {
  const json objects = json_of(ask({"--json"}))["objects"];
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_EQ(objects[0]["label"], "red circle");
  EXPECT_EQ(objects[1]["label"], "blue");
  EXPECT_EQ(objects[0]["box_yxyx_bins"], (json{100, 200, 700, 800}));
  EXPECT_EQ(objects[0]["mask_codes"], json::array());
  EXPECT_EQ(objects[0]["mask_png_base64"], nullptr);
  const double expected[] = {200.0 / 1023 * 45, 100.0 / 1023 * 37, 800.0 / 1023 * 45,
                             700.0 / 1023 * 37};
  for (int i = 0; i < 4; ++i) {
    EXPECT_DOUBLE_EQ(objects[0]["box_xyxy_px"][i].get<double>(), expected[i]);
  }
}

TEST_F(Boxes, TimesAreNotNegativeAndAddUp) {
  const json times = json_of(ask({"--json"}))["timings_ms"];
  double tokens = 0;
  for (double ms : times["per_token"]) tokens += ms;
  for (const char* phase : {"load", "preprocess", "vit", "projector", "prefill", "decode"}) {
    EXPECT_GE(times[phase].get<double>(), 0) << phase;
  }
  EXPECT_NEAR(times["prefill"].get<double>() + times["decode"].get<double>(), tokens, 1e-6);
}

TEST_F(Boxes, PerfIsThreeLinesOnStderr) {
  const Ran ran = ask({"--perf"});
  EXPECT_EQ(ran.out, kBoxes + "\n");
  EXPECT_EQ(count_lines(ran.err), 3u) << ran;
  for (const char* phase : {"vit ", "pp", "tg", " ms ", " t/s\n"}) {
    EXPECT_NE(ran.err.find(phase), std::string::npos) << phase;
  }
}

TEST_F(Boxes, AreDrawnIntoAPng) {
  const std::string path = folder_ / "boxes.png";
  const Ran ran = ask({"-o", path});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out, kBoxes + "\n");
  EXPECT_EQ(ran.err, "");
  EXPECT_TRUE(read_bytes(path).starts_with("\x89PNG\r\n\x1a\n"));
  const RgbImage before = read_image(kPicture), after = read_image(path);
  ASSERT_EQ(after.view().shape(), before.view().shape());
  EXPECT_FALSE(std::equal(before.view().data(), before.view().data() + before.view().count(),
                          after.view().data()));
}

// The camera was on its side: 45 x 37 pixels as stored are 37 x 45 upright.
TEST_F(Boxes, AreOfTheUprightPicture) {
  const std::string turned = folder_ / "turned.png", boxes = folder_ / "boxes.png";
  write_text(turned, with_chunk(read_bytes(kPicture), png_chunk("eXIf", exif(6))));
  const auto image_of = [&](const std::string& orientation) {
    return json_of(run_program({"detect", turned, "red circle", "-m", kGolden, "-n", "1", "--json",
                                "-o", boxes, "--orientation", orientation}))["image"];
  };
  for (const std::string orientation : {"ignore", "exif"}) {
    const json image = image_of(orientation);
    const RgbImage read = read_image(boxes);
    EXPECT_EQ(read.view().size(0), orientation == "exif" ? 45 : 37);
    EXPECT_EQ(image["width"], read.view().size(1));
    EXPECT_EQ(image["height"], read.view().size(0));
  }
}

TEST_F(Boxes, WithoutAPlaceToGoAreRefusedBeforeTheModelRuns) {
  EXPECT_TRUE(refuses(ask({"-o", "/nonexistent/boxes.png"}), 1, {"/nonexistent/boxes.png"}));
  std::filesystem::create_directory(folder_ / "folder.png");
  EXPECT_TRUE(refuses(ask({"-o", folder_ / "folder.png"}), 1));
  EXPECT_TRUE(refuses(ask({"-o", kPicture + "/boxes.png"}), 1));
  EXPECT_TRUE(
      refuses(ask({"-o", folder_ / (std::string(300, 'a') + ".png")}), 1, {"cannot be written"}));
}

const std::string kCodes =
    "<seg000><seg001><seg002><seg003><seg004><seg005><seg006><seg007>"
    "<seg008><seg009><seg010><seg011><seg012><seg013><seg014><seg015>";
const std::string kDecoder = source_dir() + "/tests/golden/masks/vae-oid.npz";

std::string from_base64(const std::string& text) {
  EXPECT_EQ(text.size() % 4, 0u);
  std::string bytes;
  unsigned bits = 0;
  int count = 0;
  for (char c : text.substr(0, text.find('='))) {
    const int digit = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    EXPECT_GE(digit, 0) << c;
    bits = bits << 6 | static_cast<unsigned>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count);
  }
  EXPECT_EQ(bytes.size(), text.size() / 4 * 3 - (text.size() - text.find_last_not_of('=') - 1));
  return bytes;
}

// A model that answers with a box, a mask and a label, and a box without a mask.
class Masks : public ::testing::Test {
 protected:
  Masks() { write_scripted_model(folder_ / "m", kAnswer); }
  Ran ask(const std::vector<std::string>& more, const std::string& picture = kPicture) const {
    std::vector<std::string> words{"-m", folder_ / "m", "--image", picture, "-p", "segment x"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }

  const std::string kAnswer = "<loc0100><loc0200><loc0700><loc0800>" + kCodes +
                              " red circle ;<loc0001><loc0002><loc0003><loc0004> blue";
  // What the library makes of it.
  static Mask expected_mask(int width, int height) {
    std::vector<int> codes;
    for (int code = 0; code < 16; ++code) codes.push_back(code);
    const Box box = pixel_box({{100, 200, 700, 800}, codes, ""}, width, height);
    return mask_on_picture(MaskDecoder(kDecoder).decode(codes).view(), box, width, height);
  }
  TemporaryFolder folder_;
};

TEST_F(Masks, AreAPngInTheJson) {
  for (int width : {45, 46, 47, 48, 101}) {  // so that the end has each number of bytes
    const std::string picture = folder_ / "picture.png";
    write_image(picture, RgbImage({37, width, 3}).view());
    const json object = json_of(ask({"--json", "--mask-decoder", kDecoder}, picture));
    ASSERT_EQ(object["objects"].size(), 2u);
    EXPECT_EQ(object["objects"][0]["mask_codes"].size(), 16u);
    EXPECT_EQ(object["objects"][1]["mask_codes"], json::array());
    EXPECT_EQ(object["objects"][1]["mask_png_base64"], nullptr) << "which has no codes";

    const std::string png = from_base64(object["objects"][0]["mask_png_base64"]);
    ASSERT_GT(png.size(), 26u);
    EXPECT_EQ(png[25], 0) << "colour type grey";
    const RgbImage image = decode_image(std::as_bytes(std::span(png)), "mask");
    const Mask expected = expected_mask(width, 37);
    ASSERT_EQ(image.view().shape(), (std::array<Index, 3>{37, width, 3}));
    for (Index y = 0; y < 37; ++y) {
      for (Index x = 0; x < width; ++x) {
        ASSERT_EQ(image.view()(y, x, 0), expected.view()(y, x)) << y << ", " << x;
      }
    }
  }
}

TEST_F(Masks, AreDrawnInTheColourOfTheirObject) {
  const std::string picture = folder_ / "black.png", with = folder_ / "with.png";
  write_image(picture, RgbImage({200, 300, 3}).view());
  const Ran ran = ask({"-o", with, "--mask-decoder", kDecoder}, picture);
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out, kAnswer + "\n");
  EXPECT_EQ(ran.err, "");
  const RgbImage image = read_image(with);
  const Mask mask = expected_mask(300, 200);
  Index tinted = 0;
  for (Index y = 60; y < 130; ++y) {  // within the box, below its label
    for (Index x = 65; x < 230; ++x) {
      ASSERT_EQ(image.view()(y, x, 2), mask.view()(y, x) != 0 ? (0xf4 + 1) / 2 : 0);
      tinted += mask.view()(y, x) != 0;
    }
  }
  EXPECT_GT(tinted, 0);
}

TEST_F(Masks, AreDecodedByTheFileBesideTheModel) {
  const json without = json_of(ask({"--json"}));
  EXPECT_EQ(without["objects"][0]["mask_png_base64"], nullptr);
  std::filesystem::copy_file(kDecoder, folder_ / "m/vae-oid.npz");
  const json with = json_of(ask({"--json"}));
  EXPECT_TRUE(with["objects"][0]["mask_png_base64"].is_string());
}

TEST_F(Masks, WithoutADecoderAreNotedOnce) {
  const std::string drawn = folder_ / "drawn.png";
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, {"--json"}, {"-o", drawn}}) {
    const Ran ran = ask(more);
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(count_lines(ran.err), 1u) << ran;
    for (const char* word : {"paligemma: note: ", "gs://big_vision/paligemma/vae-oid.npz",
                             "8,479,556 bytes", "--mask-decoder"}) {
      EXPECT_NE(ran.err.find(word), std::string::npos) << ran;
    }
  }
  EXPECT_EQ(ask({"-q"}).err, "");
  EXPECT_EQ(ask({"--mask-decoder", kDecoder}).err, "");
  EXPECT_EQ(ask({"-n", "19"}).err, cut_at(19)) << "a mask that is not whole";
}

TEST_F(Masks, OfADecoderThatIsNoneAreRefused) {
  EXPECT_TRUE(refuses(ask({"--mask-decoder", folder_ / "nowhere.npz"}), 3, {"nowhere.npz"}));
  EXPECT_TRUE(refuses(ask({"--mask-decoder", kPicture}), 4, {"picture.png", "zip"}));
  write_text(folder_ / "m/vae-oid.npz", "hello");
  EXPECT_TRUE(refuses(ask({}), 4, {"vae-oid.npz"}));
  EXPECT_EQ(ask({"--mask-decoder", kDecoder}).exit_code, 0) << "which takes its place";
}

// Those of a picture, given again: nothing behind them differs.
TEST(Pixels, GoRoundAllProcessing) {
  const TemporaryFolder folder;
  const std::string first = folder / "first", again = folder / "again",
                    drawn = folder / "drawn.png";
  const std::string pixels = first + "/img/pixels.npy";
  const std::vector<std::string> how{"-p", "caption en", "-m", kGolden, "-n", "3", "--json"};
  const auto ask = [&](std::vector<std::string> words) {
    words.insert(words.end(), how.begin(), how.end());
    return json_of(run_program(words));
  };
  const json of_picture = ask({"--image", kPicture, "--dump", first});
  const json of_pixels = ask({"--pixels", pixels, "--dump", again, "-o", drawn});
  EXPECT_EQ(of_pixels["tokens"], of_picture["tokens"]);
  for (const char* tap : {"/img/pixels.npy", "/img/head.npy", "/logits.npy"}) {
    EXPECT_EQ(read_bytes(again + tap), read_bytes(first + tap)) << tap;
  }
  EXPECT_EQ(of_pixels["image"], json({{"path", pixels}, {"width", 32}, {"height", 32}}));
  EXPECT_EQ(read_image(drawn).view().size(0), 32);
}

TEST(Pixels, ThatCannotBeReadAreExitCode5) {
  const TemporaryFolder folder;
  const std::vector<std::string> prompt{"-p", "ocr"};
  const auto ask = [&](std::vector<std::string> words) {
    words.insert(words.end(), prompt.begin(), prompt.end());
    return run_program(words);
  };
  EXPECT_TRUE(refuses(ask({"--pixels", kPicture}), 5, {kPicture, "not a .npy file"}));
  EXPECT_TRUE(refuses(ask({"--pixels", folder / "none"}), 5, {"none"}));
  EXPECT_TRUE(refuses(ask({"--pixels", "x", "--image", "y"}), 2, {"--image", "--pixels"}));
  const std::string mine = folder / "mine.png";
  write_text(mine, "mine");
  EXPECT_TRUE(refuses(ask({"--pixels", mine, "-o", mine}), 2, {mine}));
}

TEST(Json, HoldsANameThatIsNotUtf8) {
  TemporaryFolder folder;
  const std::string path = folder / "\xff.png";
  std::filesystem::copy_file(kPicture, path);
  const json object =
      json_of(run_program({"-m", kGolden, "--image", path, "-p", "ocr", "-n", "1", "--json"}));
  EXPECT_TRUE(object["image"]["path"].get<std::string>().ends_with("/\xef\xbf\xbd.png"));
}

TEST(Text, OfSeveralBytesACharacterArrivesWhole) {
  TemporaryFolder folder;
  write_scripted_model(folder.path(), "猫é");
  EXPECT_EQ(run_program({"-m", folder.path(), "--image", kPicture, "-p", "ocr"}).out, "猫é\n");
}

TEST(Text, OfNoTokensIsAnEmptyLine) {
  TemporaryFolder folder;
  write_scripted_model(folder.path(), "");
  const std::vector<std::string> words{"-m", folder.path(), "--image", kPicture, "-p", ""};
  EXPECT_EQ(run_program(words).out, "\n");
}

TEST(Text, ThatIsCutOffSaysSo) {
  TemporaryFolder folder;
  write_scripted_model(folder.path(), "red circle");
  const std::vector<std::string> words{"-m", folder.path(), "--image", kPicture, "-p", "ocr"};
  const auto ask = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = words;
    all.insert(all.end(), more.begin(), more.end());
    return run_program(all);
  };
  const std::size_t all = json_of(ask({"--json"}))["tokens"].size();
  EXPECT_EQ(ask({}).err, "");
  EXPECT_EQ(ask({"-n", std::to_string(all)}).err, "") << "the end token came";
  EXPECT_EQ(ask({"-n", std::to_string(all - 1)}).err, cut_at(static_cast<int>(all) - 1));
  EXPECT_EQ(ask({"-n", "1", "--json"}).err, cut_at(1));
  EXPECT_EQ(ask({"-n", "1", "-q"}).err, "");

  // As many positions as the prompt and two tokens need.
  const Index prompt = json_of(ask({"--json"}))["prompt_tokens"];
  auto config = json::parse(read_bytes(folder / "config.json"));
  config["text_config"]["max_position_embeddings"] = prompt + 2;
  write_text(folder / "config.json", config.dump());
  EXPECT_EQ(ask({}).err,
            "paligemma: note: the answer is cut off at token 2, where the model's positions end\n");
}

TEST(Text, OfNumbersThatAreNoneIsARuntimeError) {
  TemporaryFolder folder;
  write_scripted_model(folder.path(), "red");
  auto tensors = read_tensors(folder / "model.safetensors");
  auto& scale = tensors.at("language_model.model.norm.weight").bytes;
  std::fill(scale.begin(), scale.end(), '\xff');  // NaN
  write_tensors(folder / "model.safetensors", tensors);
  EXPECT_TRUE(
      refuses(run_program({"-m", folder.path(), "--image", kPicture, "-p", "ocr"}), 1, {"logit"}));
}

// Prompts from standard input, one a line.
Ran ask_line_by_line(const std::string& lines, const std::vector<std::string>& more = {}) {
  std::vector<std::string> words{"-m", kGolden, "--image", kPicture, "-n", "3"};
  words.insert(words.end(), more.begin(), more.end());
  return run_program(words, {.input = lines});
}

std::string answer_to(const std::string& prompt, const std::string& picture = kPicture) {
  return run_program({"-m", kGolden, "--image", picture, "-n", "3", "-p", prompt}).out;
}

TEST(LineByLine, AnswersEveryPromptAndEndsWithTheInput) {
  const Ran ran = ask_line_by_line("caption en\nocr\ndetect cat");
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out, answer_to("caption en") + answer_to("ocr") + answer_to("detect cat"));
  EXPECT_EQ(ran.err, cut_at(3) + cut_at(3) + cut_at(3));  // no prompt sign: this is no terminal
}

TEST(LineByLine, SkipsEmptyLinesAndWindowsLineEnds) {
  const Ran ran = ask_line_by_line("\n\r\ncaption en\r\n\n");
  EXPECT_EQ(ran.out, answer_to("caption en"));
  EXPECT_EQ(ran.err, cut_at(3));
}

TEST(LineByLine, StopsAtQuit) {
  for (const char* quit : {"/quit\n", "/exit\n", "/quit\r\n"}) {
    const Ran ran = ask_line_by_line(std::string("ocr\n") + quit + "caption en\n");
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(ran.out, answer_to("ocr"));
  }
}

TEST(LineByLine, OfNoLinesSaysNothing) {
  const Ran ran = ask_line_by_line("");
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out + ran.err, "");
}

TEST(LineByLine, TakesAnotherPicture) {
  const std::string other = kGolden2 + "/picture.png";
  const Ran ran = ask_line_by_line("ocr\n/image " + other + "\nocr\n");
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out, answer_to("ocr") + answer_to("ocr", other));
}

TEST(LineByLine, TakesAPictureAsATerminalPastesIt) {
  TemporaryFolder folder;
  const std::string in = folder.path().string() + "/", picture = kGolden2 + "/picture.png";
  for (const char* name : {"my photo.png", "it's.png", "a\"b$.png", R"(back\slash.png)"}) {
    std::filesystem::copy_file(picture, folder / name);
  }
  const std::string expected = answer_to("ocr", picture);
  for (const std::string& pasted :
       {"'" + in + "my photo.png'", "'" + in + "my photo.png' ", "\"" + in + "my photo.png\"",
        in + R"(my\ photo.png )", in + "my photo.png", "  " + in + "my photo.png\t\r",
        in + "it's.png", in + R"(it\'s.png)", "'" + in + R"(it'\''s.png' )",
        "\"" + in + R"(a\"b\$.png")", in + R"(back\slash.png)", in + R"(back\\slash.png)",
        "\"" + in + R"(back\slash.png")", "file://" + in + "my%20photo.png "}) {
    const Ran ran = ask_line_by_line("/image " + pasted + "\nocr\n");
    EXPECT_EQ(ran.out, expected) << pasted << ran;
    EXPECT_EQ(ran.err, cut_at(3)) << pasted;
  }
}

TEST(LineByLine, TakesCommandsWithBlanksBehindThem) {
  const Ran ran = ask_line_by_line("/image\n/image  \n/imagine x\n/quit \nocr\n");
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(count_lines(ran.err), 3u) << ran;
}

TEST(LineByLine, PassesOverAByteOrderMark) {
  EXPECT_EQ(ask_line_by_line("\xef\xbb\xbf"
                             "ocr\n")
                .out,
            answer_to("ocr"));
}

TEST(LineByLine, GoesOnAfterWhatIsRefused) {
  const Ran ran = ask_line_by_line("/image /nonexistent.png\n/image -\n/clear\n\xff\nocr\n");
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out, answer_to("ocr"));  // about the first picture
  EXPECT_EQ(count_lines(ran.err), 4u + 1u) << ran;
  for (const char* word : {"/nonexistent.png", "standard input", "/quit", "UTF-8"}) {
    EXPECT_NE(ran.err.find(word), std::string::npos) << word;
  }
}

TEST(LineByLine, WritesOneJsonObjectALine) {
  const Ran ran = ask_line_by_line("ocr\ncaption en\n", {"--json"});
  std::istringstream lines(ran.out);
  std::vector<std::string> prompts;
  for (std::string line; std::getline(lines, line);) {
    prompts.push_back(json::parse(line)["prompt"]);
  }
  EXPECT_EQ(prompts, (std::vector<std::string>{"ocr", "caption en"}));
}

// The time of a picture's encoding is measured once, so equal times are the same encoding.
TEST(LineByLine, EncodesAPictureOnce) {
  const Ran ran = ask_line_by_line("ocr\nocr\n/image " + kPicture + "\nocr\n", {"--json"});
  std::istringstream lines(ran.out);
  std::vector<double> times;
  for (std::string line; std::getline(lines, line);) {
    times.push_back(json::parse(line)["timings_ms"]["vit"]);
  }
  ASSERT_EQ(times.size(), 3u);
  EXPECT_EQ(times[0], times[1]);
  EXPECT_NE(times[0], times[2]);
}

TEST(LineByLine, NotesAnUntrainedModelOnce) {
  TemporaryFolder folder;
  copy_golden(folder / "");
  write_tensors(folder / "model.safetensors", read_tensors(folder / "model.safetensors"),
                {{"__metadata__", {{"trained", "false"}}}});
  const Ran ran =
      run_program({"-m", folder.path(), "--image", kPicture, "-n", "1"}, {.input = "ocr\nocr\n"});
  EXPECT_TRUE(ran.err.starts_with("paligemma: note: the model ")) << ran;
  EXPECT_TRUE(ran.err.ends_with("what it says\n" + cut_at(1) + cut_at(1))) << ran;
}

// docs/cli.md, "Several pictures".
TEST_F(Boxes, OfSeveralPicturesAreInBinsAlone) {
  const json one = json_of(ask({"--json"})), two = json_of(ask({"--json", "--image", kPicture}));
  EXPECT_FALSE(two.contains("image"));
  EXPECT_EQ(two["images"], (json{one["image"], one["image"]}));
  EXPECT_EQ(two["prompt_tokens"].get<int>(), one["prompt_tokens"].get<int>() + 4);
  EXPECT_EQ(two["objects"][0]["box_yxyx_bins"], one["objects"][0]["box_yxyx_bins"]);
  EXPECT_TRUE(two["objects"][0]["box_xyxy_px"].is_null());
  EXPECT_TRUE(refuses(ask({"--image", kPicture, "-o", folder_ / "out.png"}), 2,
                      {"--output", "which of the pictures"}));
}

TEST(SeveralPictures, StandWhereThePromptSays) {
  const TemporaryFolder folder;
  const std::string golden = source_dir() + "/tests/golden/paligemma1";
  const auto ask = [&](const std::string& prompt, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"-m",      golden,   "--image", golden + "/picture.png",
                                   "--image", kPicture, "-p",      prompt,
                                   "-n",      "2"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  };
  const Ran plain = ask("red", {"-v"}), typed = ask("red<image>red<image>", {"-v"});
  EXPECT_NE(plain.err.find("[50 x <image>] <bos> red"), std::string::npos) << plain;
  EXPECT_NE(typed.err.find("red [25 x <image>] red [25 x <image>] <bos> \\n"), std::string::npos)
      << typed;
  EXPECT_TRUE(refuses(ask("<image>red"), 2, {"pictures: 2", "<image> in the prompt: 1"}));

  // Each has taps of its own, and the words see both.
  const std::string dump = folder / "taps";
  ASSERT_EQ(ask("red", {"--dump", dump}).exit_code, 0);
  for (const char* tap : {"img/0/encoded", "img/1/encoded", "img/1/head", "llm/final_norm"}) {
    EXPECT_TRUE(std::filesystem::exists(dump + "/" + tap + ".npy")) << tap;
  }
  EXPECT_FALSE(std::filesystem::exists(dump + "/img/encoded.npy"));
}

TEST(SeveralPictures, OneOfThemMayBeStandardInput) {
  const std::string golden = source_dir() + "/tests/golden/paligemma1";
  const std::vector<std::string> words{"-m", golden, "-p", "red", "-n", "2", "--image"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), words.begin(), words.end());
    return more;
  };
  const std::string picture = read_bytes(kPicture);
  const Ran piped = run_program(with({"-", "--image", kPicture}), {.input = picture}),
            named = run_program(with({kPicture, "--image", kPicture}));
  EXPECT_EQ(piped.exit_code, 0) << piped;
  EXPECT_EQ(piped.out, named.out);
  EXPECT_TRUE(refuses(run_program(with({"-", "--image", "-"}), {.input = picture}), 2,
                      {"standard input is one picture"}));
}

}  // namespace
}  // namespace paligemma
