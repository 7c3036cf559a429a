// Where a model is looked for: a path or a name. The hub's cache: hub_cache_test.cpp.
#include <nlohmann/json.hpp>

#include "tests/support/which_model.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;
namespace fs = std::filesystem;

TEST(Default, IsTheTinyModelAndNeedsNoFlag) {
  EXPECT_EQ(model_of(run_program(ask({})))["id"], "tiny");
  EXPECT_EQ(model_of(run_program(ask({"-m", "tiny"})))["id"], "tiny");
}

TEST(Default, IsLookedForWhereTheEnvironmentSays) {
  TemporaryFolder folder;
  fs::create_directory_symlink(kGolden, folder / "tiny");
  fs::create_directory_symlink(kGolden2, folder / "other");
  const Surroundings around{.environment = {{"PALIGEMMA_MODELS", folder.path()}}};
  EXPECT_EQ(model_of(run_program(ask({}), around))["image_size"], 32);
  EXPECT_EQ(model_of(run_program(ask({"-m", "other"}), around))["arch"], "paligemma2");

  const Surroundings nowhere{.environment = {{"PALIGEMMA_MODELS", "/nonexistent"}}};
  EXPECT_TRUE(refuses(run_program(ask({}), nowhere), 3, {"/nonexistent/tiny"}));
}

TEST(Path, MayBeAFolderOrItsWeights) {
  EXPECT_EQ(model_of(run_program(ask({"-m", kGolden})))["arch"], "paligemma");
  EXPECT_EQ(model_of(run_program(ask({"-m", kGolden2 + "/model.safetensors"})))["arch"],
            "paligemma2");
}

TEST(Path, ThatIsNotThereIsExitCode3) {
  EXPECT_TRUE(refuses(run_program(ask({"-m", "/nonexistent"})), 3, {"/nonexistent"}));
  EXPECT_TRUE(refuses(run_program(ask({"-m", "./nonexistent"})), 3, {"./nonexistent"}));
  EXPECT_TRUE(refuses(run_program(ask({"-m", "nonexistent"})), 3, {"nonexistent"}));
}

// Even root meets these: a name too long for a file, a file that is no folder, a loop of links.
TEST(Path, ThatCannotBeLookedUpIsExitCode3) {
  const TemporaryFolder folder;
  fs::create_symlink("loop", folder / "loop");
  const std::string long_name(300, 'a');
  for (const std::string& path :
       {long_name, "./" + long_name, (folder / "loop").string(), (folder / "loop/model").string(),
        kGolden + "/config.json/model"}) {
    EXPECT_TRUE(refuses(run_program(ask({"-m", path})), 3, {path}));
  }
  EXPECT_EQ(run_program(ask({"--hf-repo", "org/" + long_name})).exit_code, 3);
  EXPECT_TRUE(refuses(run_program(ask({"--tokenizer", long_name})), 3, {long_name}));
  EXPECT_TRUE(refuses(run_program(ask({"--mask-decoder", long_name})), 3, {long_name}));
}

TEST(ModelFolder, HasNoRevisions) {
  const Ran ran = run_program({"inspect", kGolden, "--revision", "bfloat16"});
  EXPECT_TRUE(refuses(ran, 2, {"--revision", kGolden}));
  EXPECT_TRUE(
      refuses(run_program({"inspect", "--revision", "bfloat16"}), 2, {"--revision", "tiny"}));
  EXPECT_EQ(run_program({"inspect", kGolden, "--revision", "main"}).exit_code, 0);  // by habit
}

}  // namespace
}  // namespace paligemma
