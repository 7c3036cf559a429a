// Models by the names of Keras and Kaggle, in the cache of kagglehub 1.0.3, and presets in either cache.
#include <nlohmann/json.hpp>

#include "tests/support/which_model.h"

namespace paligemma {
namespace {

using namespace test;
namespace fs = std::filesystem;

const std::string kHandle = "keras/paligemma/keras/pali_gemma_3b_mix_224";

class KaggleCache : public ::testing::Test {
 protected:
  // Marked as whole, unless told otherwise.
  void add(const std::string& path, const std::string& model = kGolden, bool whole = true) const {
    const fs::path folder = models_ / path;
    fs::create_directories(folder.parent_path());
    fs::copy(model, folder);
    if (whole) write_text(folder.string() + ".complete", "");
  }
  void add_to_hub(const std::string& name) const {
    fs::create_directories(folder_ / "hub" / name / "snapshots");
    fs::copy(kGolden, folder_ / "hub" / name / "snapshots/1111");
  }
  Ran run(const std::vector<std::string>& more) const {
    return run_program(ask(more), {.environment = {{"KAGGLEHUB_CACHE", folder_ / "kaggle"},
                                                   {"HF_HUB_CACHE", folder_ / "hub"}}});
  }
  std::string id(const std::string& name) const { return model_of(run({"-m", name}))["id"]; }

  TemporaryFolder folder_;
  const fs::path models_ = folder_ / "kaggle/models";
};

TEST_F(KaggleCache, IsFoundByItsVariableThenHome) {
  add(kHandle + "/4");
  EXPECT_EQ(id("kaggle://" + kHandle + "/4"), "kaggle://" + kHandle + "/4");
  fs::create_directories(folder_ / "home/.cache");
  fs::create_directory_symlink(folder_ / "kaggle", folder_ / "home/.cache/kagglehub");
  const Surroundings home{.environment = {{"HOME", folder_ / "home"}}};
  EXPECT_EQ(run_program(ask({"-m", "kaggle://" + kHandle + "/4"}), home).exit_code, 0);
  EXPECT_TRUE(refuses(run_program(ask({"-m", "kaggle://" + kHandle + "/4"})), 3,
                      {"/nonexistent/.cache/kagglehub/models"}));
}

TEST_F(KaggleCache, HasVersionsOfWhichTheNewestIsTaken) {
  add(kHandle + "/9");
  add(kHandle + "/10", kGolden2);
  add(kHandle + "/11", kGolden, false);
  const Ran ran = run({"-m", "kaggle://" + kHandle});
  EXPECT_EQ(model_of(ran)["arch"], "paligemma2");
  EXPECT_NE(ran.err.find("version 10 of " + kHandle), std::string::npos) << ran;
  EXPECT_EQ(model_of(run({"-m", "kaggle://" + kHandle + "/9"}))["arch"], "paligemma");
  EXPECT_TRUE(
      refuses(run({"-m", "kaggle://" + kHandle + "/4"}), 3,
              {(models_).string(), "version 11", "kagglehub.model_download('" + kHandle + "/4')",
               "/scripts/download.sh google/paligemma-3b-mix-224"}));
  EXPECT_TRUE(
      refuses(run({"-m", "kaggle://a/b/keras/c"}), 3, {"kagglehub.model_download('a/b/keras/c')"}));
}

TEST_F(KaggleCache, KnowsADownloadThatBrokeOff) {
  add(kHandle + "/4", kGolden, false);
  const fs::path markers = models_ / kHandle / ".complete/4";
  fs::create_directories(markers);
  for (const auto& entry : fs::directory_iterator(models_ / kHandle / "4")) {
    write_text(markers / (entry.path().filename().string() + ".complete"), "");
  }
  EXPECT_EQ(run({"-m", "kaggle://" + kHandle + "/4"}).exit_code, 0);
  fs::remove(markers / "model.safetensors.complete");
  EXPECT_TRUE(refuses(run({"-m", "kaggle://" + kHandle + "/4"}), 3,
                      {"in part", (models_ / kHandle / "4/model.safetensors").string()}));
  write_text(models_ / kHandle / "4.complete", "");
  EXPECT_EQ(run({"-m", "kaggle://" + kHandle + "/4"}).exit_code, 0);

  fs::remove(models_ / kHandle / "4/model.safetensors");
  EXPECT_TRUE(refuses(run({"-m", "kaggle://" + kHandle + "/4"}), 3, {"model.weights.h5"}));
  write_text(
      models_ / kHandle / "4/model.weights.json",
      R"({"weight_map": {"/a": "model_00000.weights.h5", "/b": ["model_00001.weights.h5"]}})");
  write_text(models_ / kHandle / "4/model_00000.weights.h5", "");
  EXPECT_TRUE(refuses(run({"-m", "kaggle://" + kHandle + "/4"}), 3, {"/4/model_00001.weights.h5"}));
}

TEST_F(KaggleCache, HasNoModelsByOtherAddresses) {
  for (const std::string name :
       {"kaggle://", "kaggle://keras/paligemma", "kaggle://keras/paligemma/keras",
        "kaggle://keras/paligemma/keras/x/y", "kaggle://keras/paligemma/keras/x/1/2",
        "kaggle://keras//keras/x", "kaggle://keras/../keras/x",
        "kaggle://keras/paligemma/keras/x/"}) {
    EXPECT_TRUE(refuses(run({"-m", name}), 2, {name, "OWNER/MODEL"})) << name;
  }
  EXPECT_TRUE(refuses(run({"-m", "kaggle://" + kHandle, "--revision", "bfloat16"}), 2,
                      {"--revision bfloat16", "VERSION"}));
}

// In the cache that its spelling is of, else in the other one.
TEST_F(KaggleCache, APresetIsLookedForInBothCaches) {
  for (const char* name : {"paligemma-3b-mix-224", "google/paligemma-3b-mix-224",
                           "hf://google/paligemma-3b-mix-224", "pali_gemma_3b_mix_224"}) {
    EXPECT_TRUE(refuses(
        run({"-m", name}), 3,
        {folder_ / "hub", models_, kHandle, "https://huggingface.co/google/paligemma-3b-mix-224",
         "/scripts/download.sh google/paligemma-3b-mix-224"}))
        << name;
  }
  add(kHandle + "/4");
  EXPECT_EQ(id("pali_gemma_3b_mix_224"), "kaggle://" + kHandle + "/4");
  const Ran noted = run({"-m", "paligemma-3b-mix-224"});
  EXPECT_EQ(model_of(noted)["id"], "kaggle://" + kHandle + "/4");
  EXPECT_NE(noted.err.find("is not in the hub's cache"), std::string::npos) << noted;

  add_to_hub("models--google--paligemma-3b-mix-224");
  EXPECT_EQ(id("pali_gemma_3b_mix_224"), "kaggle://" + kHandle + "/4");
  for (const char* name : {"paligemma-3b-mix-224", "google/paligemma-3b-mix-224",
                           "hf://google/paligemma-3b-mix-224"}) {
    EXPECT_EQ(id(name), "google/paligemma-3b-mix-224");
  }
  fs::remove_all(models_);
  const Ran of_hub = run({"-m", "pali_gemma_3b_mix_224"});
  EXPECT_EQ(model_of(of_hub)["id"], "google/paligemma-3b-mix-224");
  EXPECT_NE(of_hub.err.find("is not in kagglehub's cache"), std::string::npos) << of_hub;
}

TEST_F(KaggleCache, APresetOfAnotherVersionWillDo) {
  add(kHandle + "/2");
  const Ran ran = run({"-m", "pali_gemma_3b_mix_224"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_NE(ran.err.find("version 2 of " + kHandle), std::string::npos) << ran;
}

TEST_F(KaggleCache, ANameThatIsNearlyAPresetsIsGuessed) {
  EXPECT_TRUE(refuses(run({"-m", "paligemma-3b-mix-244"}), 3,
                      {"did you mean paligemma-3b-mix-224?", "`paligemma presets`"}));
  EXPECT_TRUE(refuses(run({"-m", "pali_gemma_3b_mx_448"}), 3, {"mean pali_gemma_3b_mix_448?"}));
}

}  // namespace
}  // namespace paligemma
