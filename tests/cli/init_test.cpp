// paligemma init: a model of random weights.
#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;

class Init : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  const std::string out_ = folder_ / "out";
};

TEST_F(Init, WritesAModelThatAnswers) {
  const Ran ran = run_program({"init", kGolden + "/config.json", out_, "--seed", "3", "--tokenizer",
                               kGolden + "/tokenizer.model"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out + ran.err, "");
  const Ran asked = run_program({"caption", kPicture, "-m", out_, "-n", "2"});
  EXPECT_EQ(asked.exit_code, 0) << asked;
  EXPECT_NE(asked.err.find("is untrained"), std::string::npos) << asked;
}

TEST_F(Init, KnowsThePublishedSizes) {
  ASSERT_EQ(run_program({"init", "paligemma2-3b-448", out_, "--sparse"}).exit_code, 0);
  const Ran ran = run_program({"inspect", out_});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_NE(ran.out.find("448 x 448"), std::string::npos) << ran;
}

TEST_F(Init, KnowsAPresetByAnyOfItsNames) {
  std::string weights;
  for (const char* name :
       {"paligemma2-10b-ft-docci-448", "google/paligemma2-10b-ft-docci-448",
        "hf://google/paligemma2-10b-ft-docci-448", "pali_gemma2_ft_docci_10b_448",
        "kaggle://keras/paligemma2/keras/pali_gemma2_ft_docci_10b_448/3", "paligemma2-10b-448"}) {
    std::filesystem::remove_all(out_);
    const Ran ran = run_program({"init", name, out_, "--sparse"});
    EXPECT_EQ(ran.exit_code, 0) << ran;
    const std::string text = run_program({"inspect", out_}).out;
    if (weights.empty()) weights = text;
    EXPECT_EQ(text, weights) << name;
    EXPECT_NE(text.find("9663523568 parameters in 903 tensors"), std::string::npos) << text;
  }
}

TEST_F(Init, SaysWhatIsWrong) {
  EXPECT_TRUE(refuses(run_program({"init"}), 2, {"PRESET|CONFIG.json"}));
  EXPECT_TRUE(refuses(run_program({"init", "paligemma-3b-224"}), 2, {"where to"}));
  EXPECT_TRUE(
      refuses(run_program({"init", "paligemma-4b", out_}), 3,
              {"paligemma-4b", "`paligemma presets`", "paligemma-3b-224", "paligemma2-28b-896"}));
  write_text(folder_ / "config.json", "{}");
  EXPECT_TRUE(refuses(run_program({"init", folder_ / "config.json", out_}), 4, {"config.json"}));
  EXPECT_TRUE(
      refuses(run_program({"init", kGolden + "/config.json", kGolden}), 1, {"a model already"}));
  EXPECT_FALSE(std::filesystem::exists(out_));
}

}  // namespace
}  // namespace paligemma
