// Where a model is looked for: a path, a name, the cache of the Hugging Face hub. Never a network.
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;
namespace fs = std::filesystem;

std::vector<std::string> ask(const std::vector<std::string>& more) {
  std::vector<std::string> words{"--image", kPicture, "-p", "ocr", "-n", "1", "--json"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

json model_of(const Ran& ran) {
  EXPECT_EQ(ran.exit_code, 0) << ran;
  return json::parse(ran.out, nullptr, false)["model"];
}

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

// A hub cache with org/name in it: refs/main names a commit, snapshots/COMMIT holds links to blobs.
class HubCache : public ::testing::Test {
 protected:
  HubCache() {
    add_snapshot("1111", kGolden);
    add_ref("main", "1111");
  }
  void add_snapshot(const std::string& commit, const std::string& model) const {
    fs::create_directories(repository_ / "snapshots" / commit);
    for (const auto& entry : fs::directory_iterator(model)) {
      fs::create_symlink(entry.path(),
                         repository_ / "snapshots" / commit / entry.path().filename());
    }
  }
  void add_ref(const std::string& revision, const std::string& commit) const {
    fs::create_directories((repository_ / "refs" / revision).parent_path());
    write_text(repository_ / "refs" / revision, commit);
  }
  Surroundings around() const { return {.environment = {{"HF_HUB_CACHE", folder_ / "hub"}}}; }

  TemporaryFolder folder_;
  fs::path repository_ = folder_ / "hub/models--org--name";
};

TEST_F(HubCache, IsFoundByHfHubCacheThenHfHomeThenHome) {
  for (const auto& environment : std::vector<std::map<std::string, std::string>>{
           {{"HF_HUB_CACHE", folder_ / "hub"}},
           {{"HF_HOME", folder_.path()}},
           {{"HF_HUB_CACHE", folder_ / "hub"}, {"HF_HOME", "/nonexistent"}}}) {
    const Ran ran = run_program(ask({"-m", "org/name"}), {.environment = environment});
    EXPECT_EQ(model_of(ran)["id"], "org/name");
    EXPECT_EQ(ran.err, cut_at(1));
  }
  fs::create_directories(folder_ / "home/.cache/huggingface");
  fs::create_directory_symlink(folder_ / "hub", folder_ / "home/.cache/huggingface/hub");
  const Surroundings home{.environment = {{"HOME", folder_ / "home"}}};
  EXPECT_EQ(model_of(run_program(ask({"-m", "org/name"}), home))["id"], "org/name");
}

TEST_F(HubCache, IsAskedByModelAndByHfRepo) {
  EXPECT_EQ(model_of(run_program(ask({"-hf", "org/name"}), around()))["id"], "org/name");
  EXPECT_EQ(model_of(run_program(ask({"--hf-repo", "org/name"}), around()))["id"], "org/name");
}

TEST_F(HubCache, TakesTheRevision) {
  add_snapshot("2222", kGolden2);
  add_ref("bfloat16", "2222\n");
  add_ref("refs/pr/1", "2222");
  const auto arch = [&](const std::string& revision) {
    return model_of(run_program(ask({"-m", "org/name", "--revision", revision}), around()))["arch"];
  };
  EXPECT_EQ(arch("main"), "paligemma");
  EXPECT_EQ(arch("bfloat16"), "paligemma2");
  EXPECT_EQ(arch("refs/pr/1"), "paligemma2");
  EXPECT_EQ(arch("1111"), "paligemma");  // a commit is a revision too
}

TEST(ModelFolder, HasNoRevisions) {
  const Ran ran = run_program({"inspect", kGolden, "--revision", "bfloat16"});
  EXPECT_TRUE(refuses(ran, 2, {"--revision", kGolden}));
  EXPECT_TRUE(
      refuses(run_program({"inspect", "--revision", "bfloat16"}), 2, {"--revision", "tiny"}));
  EXPECT_EQ(run_program({"inspect", kGolden, "--revision", "main"}).exit_code, 0);  // by habit
}

TEST_F(HubCache, WithoutRefsUsesTheOnlySnapshotAndSaysSo) {
  fs::remove_all(repository_ / "refs");
  const Ran ran = run_program(ask({"-m", "org/name"}), around());
  EXPECT_EQ(model_of(ran)["arch"], "paligemma");
  EXPECT_EQ(count_lines(ran.err), 1u) << ran;
  EXPECT_NE(ran.err.find("1111"), std::string::npos) << ran;

  for (const std::string command : {"inspect", "tokenize"}) {
    std::vector<std::string> words{command, "-m", "org/name"};
    if (command == "tokenize") words.push_back("red");
    const Ran noted = run_program(words, around());
    EXPECT_EQ(noted.exit_code, 0) << noted;
    EXPECT_NE(noted.err.find("1111"), std::string::npos) << noted;
    words.push_back("-q");
    EXPECT_EQ(run_program(words, around()).err, "") << command;
  }

  add_snapshot("2222", kGolden2);  // now it would be a guess
  EXPECT_TRUE(refuses(run_program(ask({"-m", "org/name"}), around()), 3, {"org/name"}));
}

TEST_F(HubCache, WithoutTheModelPrintsTheCommandThatDownloadsIt) {
  EXPECT_TRUE(refuses(run_program(ask({"-m", "google/paligemma-3b-mix-224"}), around()), 3,
                      {"google/paligemma-3b-mix-224", folder_ / "hub",
                       "https://huggingface.co/google/paligemma-3b-mix-224",
                       "hf auth login && hf download google/paligemma-3b-mix-224. "}));
  EXPECT_TRUE(refuses(run_program(ask({"-hf", "org/name", "--revision", "bfloat16"}), around()), 3,
                      {"hf download org/name --revision bfloat16. "}));
  EXPECT_TRUE(
      refuses(run_program(ask({"-hf", "a/b"}), {.environment = {{"HF_HOME", "/none"}}}), 3));
}

TEST_F(HubCache, OfAnUnfinishedDownloadNamesTheMissingFile) {
  fs::remove(repository_ / "snapshots/1111/model.safetensors");
  EXPECT_TRUE(
      refuses(run_program(ask({"-m", "org/name"}), around()), 3, {"1111/model.safetensors"}));
}

}  // namespace
}  // namespace paligemma
