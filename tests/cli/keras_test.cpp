// Presets of Keras, as the program takes them.
#include <gtest/gtest.h>

#include "tests/support/checkpoint_files.h"
#include "tests/support/keras_golden.h"

namespace paligemma {
namespace {

using namespace test;
namespace fs = std::filesystem;

std::vector<std::string> asked(const std::string& preset, const std::vector<std::string>& more) {
  std::vector<std::string> words{"-m",       keras_folder() / preset,
                                 "--image",  keras_folder() / (preset + ".png"),
                                 "-p",       "caption en",
                                 "-n",       "12",
                                 "--device", "cpu"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(KerasPresetAsked, Answers) {
  const Ran reference = run_program(asked("float32", {"--reference"}));
  EXPECT_EQ(reference.exit_code, 0) << reference;
  EXPECT_FALSE(reference.out.empty());
  EXPECT_EQ(run_program(asked("float32", {"--dtype", "f32"})).out, reference.out);
}

TEST(KerasPresetAsked, WithoutATokenizerSaysWhatToGive) {
  EXPECT_TRUE(refuses(run_program(asked("shards", {})), 3, {"shards", "--tokenizer"}));
  const Ran ran = run_program(asked("shards", {"--tokenizer", kKerasTokenizer}));
  EXPECT_EQ(ran.exit_code, 0) << ran;
}

TEST(KerasPresetAsked, IsInspected) {
  const Ran ran = run_program({"inspect", keras_folder() / "bfloat16"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  for (const char* word : {"paligemma2", "47 tensors, bf16", "self_attn.q_proj.weight"}) {
    EXPECT_NE(ran.out.find(word), std::string::npos) << ran << word;
  }
}

// Whose picture is squashed as other models' are, if that is asked for.
TEST(KerasPresetAsked, TakesAnotherResizing) {
  const Ran ran = run_program(asked("float32", {"--resize", "bicubic"}));
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_NE(ran.out, run_program(asked("float32", {})).out);
}

TEST(KerasPresetAsked, IsQuantised) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_program({"quantize", keras_folder() / "float32", folder / "q", "--dtype", "int8"})
                .exit_code,
            0);
  auto words = asked("float32", {});
  const std::string quantised = run_program(asked("float32", {"--dtype", "int8"})).out;
  words[1] = folder / "q";
  EXPECT_EQ(run_program(words).out, quantised);
}

// A build without libhdf5 has no such module; here is one that cannot be loaded.
TEST(KerasPresetAsked, WithoutTheModuleSaysSo) {
  const TemporaryFolder folder;
  write_text(folder / "libpaligemma_hdf5.so", "");
  const Ran ran = run_program({"inspect", keras_folder() / "float32"},
                              {.environment = {{"LD_LIBRARY_PATH", folder.path()}}});
  EXPECT_TRUE(refuses(ran, 4, {"model.weights.h5", "libhdf5-dev", "libpaligemma_hdf5.so"}));
}

TEST(KerasPresetAsked, OfWeightsAloneSaysWhatIsMissing) {
  const TemporaryFolder folder;
  fs::copy_file(keras_folder() / "float32/model.weights.h5", folder / "own.weights.h5");
  EXPECT_TRUE(
      refuses(run_program({"inspect", folder.path()}), 4, {"own.weights.h5", "config.json"}));
  EXPECT_TRUE(refuses(run_program({"inspect", folder / "own.weights.h5"}), 4,
                      {"own.weights.h5", "config.json"}));
  fs::remove(folder / "own.weights.h5");
  fs::copy_file(keras_folder() / "refused/own.lora.h5", folder / "own.lora.h5");
  EXPECT_TRUE(
      refuses(run_program({"inspect", folder.path()}), 4, {"own.lora.h5", "load_lora_weights"}));
}

}  // namespace
}  // namespace paligemma
