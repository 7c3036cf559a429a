// `paligemma presets`: the published models, and which are on this disk.
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;
namespace fs = std::filesystem;

class ListOfPresets : public ::testing::Test {
 protected:
  Ran run(const std::vector<std::string>& flags = {}) const {
    std::vector<std::string> words{"presets"};
    words.insert(words.end(), flags.begin(), flags.end());
    return run_program(words, {.environment = {{"HF_HUB_CACHE", folder_ / "hub"},
                                               {"KAGGLEHUB_CACHE", folder_ / "kaggle"}}});
  }
  json of(const std::string& name) const {
    const json all = json::parse(run({"--json"}).out);
    for (const json& preset : all["presets"]) {
      if (preset["name"] == name) return preset;
    }
    return {};
  }
  std::string line_of(const std::string& name) const {
    const std::string all = run().out;
    const auto begin = all.find("google/" + name + " ");
    return begin == all.npos ? "" : all.substr(begin, all.find('\n', begin) - begin);
  }
  void add(const std::string& folder) const { copy_golden(folder_ / folder); }

  TemporaryFolder folder_;
};

TEST_F(ListOfPresets, HasTheirNamesAndSizes) {
  const Ran ran = run();
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.err, "");
  EXPECT_EQ(count_lines(ran.out), 1u + 42u);
  EXPECT_EQ(
      line_of("paligemma2-28b-mix-448"),
      "google/paligemma2-28b-mix-448          pali_gemma2_mix_28b_448         27651371760  110.6   "
      "55.3   28.5   15.7  -            kaggle://keras/paligemma2/keras/pali_gemma2_28b_mix_448/3");
  EXPECT_EQ(line_of("paligemma-3b-ft-nlvr2-448"),
            "google/paligemma-3b-ft-nlvr2-448       -                                2924351216   "
            "11.7    "
            "5.8    3.4    2.2  -            -");
}

TEST_F(ListOfPresets, IsJsonIfAsked) {
  EXPECT_EQ(of("google/paligemma-3b-mix-224"),
            json::parse(R"({"name": "google/paligemma-3b-mix-224", "keras": "pali_gemma_3b_mix_224",
                            "kaggle": "kaggle://keras/paligemma/keras/pali_gemma_3b_mix_224/4",
                            "kind": "mix", "image_size": 224,
                            "params": 2923466480, "params_in_keras": 2923335408,
                            "bytes": {"f32": 11693865920, "bf16": 5846932960, "f16": 5846932960,
                                      "int8": 3377542624, "int4": 2201642464},
                            "hub_cache": [], "kaggle_cache": [], "in_part": []})"));
  const json tuned = of("google/paligemma-3b-ft-vqav2-224");
  EXPECT_TRUE(tuned["keras"].is_null() && tuned["kaggle"].is_null());
  EXPECT_TRUE(tuned["params_in_keras"].is_null());
}

TEST_F(ListOfPresets, SaysWhichAreOnThisDisk) {
  const std::string snapshots = "hub/models--google--paligemma-3b-mix-224/snapshots/";
  const std::string versions = "kaggle/models/keras/paligemma/keras/pali_gemma_3b_mix_224/";
  add(snapshots + "2222");
  add(snapshots + "1111");
  EXPECT_EQ(of("google/paligemma-3b-mix-224")["hub_cache"],
            json({folder_ / (snapshots + "1111"), folder_ / (snapshots + "2222")}));
  EXPECT_NE(line_of("paligemma-3b-mix-224").find("  hub  "), std::string::npos);

  add(versions + "4");
  EXPECT_EQ(of("google/paligemma-3b-mix-224")["in_part"], json({folder_ / (versions + "4")}));
  write_text(folder_ / (versions + "4.complete"), "");
  EXPECT_EQ(of("google/paligemma-3b-mix-224")["kaggle_cache"], json({folder_ / (versions + "4")}));
  EXPECT_NE(line_of("paligemma-3b-mix-224").find("  hub, kaggle  "), std::string::npos);

  add("hub/models--google--paligemma-3b-pt-224/snapshots/1111");
  fs::remove(folder_ / "hub/models--google--paligemma-3b-pt-224/snapshots/1111/tokenizer.model");
  EXPECT_NE(line_of("paligemma-3b-pt-224").find("  in part  "), std::string::npos);
}

}  // namespace
}  // namespace paligemma
