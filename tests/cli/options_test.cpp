// Flags: their ranges, and those that change the model.
#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;

Ran ask(const std::vector<std::string>& more) {
  std::vector<std::string> words{"-m", kGolden, "--image", kPicture, "-p", "caption en"};
  words.insert(words.end(), more.begin(), more.end());
  return run_program(words);
}

TEST(Ranges, AreCheckedBeforeAnythingIsRead) {
  const std::vector<std::vector<std::string>> refused{{"-n", "0"},
                                                      {"-n", "-1"},
                                                      {"-n", "99999999999999999999"},
                                                      {"-n", "x"},
                                                      {"-n", "1.5"},
                                                      {"-n", "16777217"},

                                                      {"-t", "0"},
                                                      {"-t", "-1"},
                                                      {"-t", "1025"},
                                                      {"-t", "x"},
                                                      {"--temp", "-1"},
                                                      {"--temp", "nan"},
                                                      {"--temp", "inf"},
                                                      {"--temp", "x"},
                                                      {"--top-p", "2"},
                                                      {"--top-p", "-0.1"},
                                                      {"--top-p", "nan"},
                                                      {"--top-k", "-1"},
                                                      {"--top-k", "x"},
                                                      {"--seed", "-1"},
                                                      {"--seed", "99999999999999999999"},
                                                      {"--seed", "x"},
                                                      {"--dtype", "x"},
                                                      {"--dtype", "int3"},
                                                      {"--device", "tpu"},
                                                      {"--device", "cudax"},
                                                      {"--device", "cuda:"},
                                                      {"--device", "cuda:x"},
                                                      {"--kernels", "sse9"},
                                                      {"--kernels", ""},
                                                      {"--softcap", "30"},
                                                      {"--orientation", "right"},
                                                      {"--resize", "lanczos"},
                                                      {"--sliding-window", "4"},
                                                      {"--verbosity", "3"},
                                                      {"--verbosity", "-1"},
                                                      {"--do-sample=maybe"},
                                                      {"--hf-repo", "name"},
                                                      {"--hf-repo", "a/b"}};
  for (const auto& flag : refused) {
    EXPECT_TRUE(refuses(ask(flag), 2)) << flag.front() << " " << flag.back();
  }
}

TEST(Ranges, AllowTheirEnds) {
  for (const std::vector<std::string>& flag :
       std::vector<std::vector<std::string>>{{"-n", "1"},
                                             {"-t", "1"},
                                             {"--temp", "1e-30", "-n", "1"},
                                             {"--top-p", "0", "-n", "1"},
                                             {"--temp", "1", "--top-p", "0", "-n", "1"},
                                             {"--top-k", "0", "-n", "1"},
                                             {"--seed", "9223372036854775806", "-n", "1"},
                                             {"--temp", "1", "--top-k", "99999999", "-n", "1"}}) {
    const Ran ran = ask(flag);
    EXPECT_EQ(ran.exit_code, 0) << flag.front() << ran;
  }
}

TEST(MaxTokens, BoundsTheAnswer) {
  EXPECT_EQ(ask({"-n", "1"}).out, ask({"-n=1"}).out);
  const std::string one = ask({"-n", "1"}).out, five = ask({"-n", "5"}).out;
  EXPECT_TRUE(five.starts_with(one.substr(0, one.size() - 1)));
  EXPECT_GT(five.size(), one.size());
}

TEST(TopK, OfOneIsGreedy) {
  EXPECT_EQ(ask({"-n", "8", "--temp", "2", "--top-k", "1"}).out, ask({"-n", "8"}).out);
}

TEST(Dtype, ConvertsTheWeightsInMemory) {
  for (const char* dtype : {"auto", "f32", "bf16", "f16"}) {
    const Ran ran = ask({"-n", "2", "-v", "--dtype", dtype});
    EXPECT_EQ(ran.exit_code, 0) << ran;
    const std::string weights = dtype == std::string("auto") ? "f32" : dtype;
    EXPECT_NE(ran.err.find("weights: " + weights), std::string::npos) << ran;
  }
}

TEST(Dtype, HasPyTorchsNamesToo) {
  const std::map<std::string, std::vector<std::string>> names{{"f32", {"float32", "float", "fp32"}},
                                                              {"bf16", {"bfloat16"}},
                                                              {"f16", {"float16", "half", "fp16"}}};
  for (const auto& [ours, theirs] : names) {
    for (const std::string& name : theirs) {
      const Ran ran = ask({"-n", "1", "-v", "--dtype", name});
      EXPECT_EQ(ran.exit_code, 0) << ran;
      EXPECT_NE(ran.err.find("weights: " + ours), std::string::npos) << ran;
    }
  }
  EXPECT_TRUE(refuses(ask({"--dtype", "float8"}), 2, {"f32, bf16, f16, int8, int4"}));
}

TEST(Dtype, OfFewBitsSaysTheSame) {
  for (const char* dtype : {"bf16", "int8", "int4"}) {
    const Ran ran = run_program(
        {"caption", source_dir() + "/world/other/00.png", "-v", "-t", "1", "--dtype", dtype});
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(ran.out, "a pink cross\n") << dtype;
    EXPECT_NE(ran.err.find(std::string("weights: ") + dtype), std::string::npos) << ran;
  }
}

TEST(Dtype, OfFewBitsIsForTheReferenceToo) {
  for (const char* dtype : {"int8", "int4"}) {
    const Ran ran = run_program(
        {"caption", source_dir() + "/world/other/00.png", "--reference", "--dtype", dtype});
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(ran.out, "a pink cross\n") << dtype;
  }
}

// PaliGemma 2 has caps and a window, and its golden weights make both bite.
TEST(SoftCapAndWindow, CanBeSwitchedOff) {
  const auto logits = [](const std::vector<std::string>& more) {
    TemporaryFolder folder;
    std::vector<std::string> words{
        "-m", kGolden2, "--image", kPicture,     "-p", "answer en what is this",
        "-n", "12",     "--dump",  folder.path()};
    words.insert(words.end(), more.begin(), more.end());
    const Ran ran = run_program(words);
    EXPECT_EQ(ran.exit_code, 0) << ran;
    return read_bytes(folder / "logits.npy");
  };
  const std::string configured = logits({});
  EXPECT_TRUE(logits({"--softcap", "config", "--sliding-window", "config"}) == configured);
  EXPECT_FALSE(logits({"--softcap", "off"}) == configured);
  EXPECT_FALSE(logits({"--sliding-window", "off"}) == configured);
}

TEST(Resize, CanBeChosen) {
  const auto pixels = [](const char* filter) {
    TemporaryFolder folder;
    const Ran ran = ask({"-n", "1", "--resize", filter, "--dump", folder.path()});
    EXPECT_EQ(ran.exit_code, 0) << ran;
    return read_bytes(folder / "img/pixels.npy");
  };
  EXPECT_TRUE(pixels("config") == pixels("bicubic"));  // as preprocessor_config.json says
  EXPECT_FALSE(pixels("config") == pixels("bilinear"));
}

TEST(SkipSpecialTokens, LeavesTheWords) {
  TemporaryFolder folder;
  write_scripted_model(folder.path(), "<loc0100><loc0200><loc0700><loc0800> red circle");
  const std::vector<std::string> words{"-m", folder / "", "--image", kPicture, "-p", "detect x"};
  EXPECT_EQ(run_program(words).out, "<loc0100><loc0200><loc0700><loc0800> red circle\n");
  std::vector<std::string> skipping = words;
  skipping.push_back("--skip-special-tokens");
  EXPECT_EQ(run_program(skipping).out, " red circle\n");
}

}  // namespace
}  // namespace paligemma
