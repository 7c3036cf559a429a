// Models in the cache of the Hugging Face hub, where huggingface_hub 2.4.0 has it. Never a network.
#include <nlohmann/json.hpp>

#include "tests/support/which_model.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;
namespace fs = std::filesystem;

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
                       "/scripts/download.sh google/paligemma-3b-mix-224. "}));
  EXPECT_TRUE(refuses(run_program(ask({"-hf", "org/name", "--revision", "bfloat16"}), around()), 3,
                      {"/scripts/download.sh org/name --revision bfloat16. "}));
  EXPECT_TRUE(
      refuses(run_program(ask({"-hf", "a/b"}), {.environment = {{"HF_HOME", "/none"}}}), 3));
}

// huggingface_hub 2.4.0's constants.HF_HUB_CACHE in these environments, where HOME is /h.
TEST(HubCacheFolder, IsWhereHuggingfaceHubHasIt) {
  const std::vector<std::pair<std::map<std::string, std::string>, std::string>> folders{
      {{{"HF_HUB_CACHE", "/a/hub"}}, "/a/hub"},
      {{{"HF_HUB_CACHE", "~/c"}}, "/h/c"},
      {{{"HF_HUB_CACHE", "$HOME/c"}}, "/h/c"},
      {{{"HF_HUB_CACHE", "${HOME}/c"}}, "/h/c"},
      {{{"HF_HUB_CACHE", "~root/c"}}, "/root/c"},
      {{{"HF_HUB_CACHE", "~nobody_here/c"}}, "~nobody_here/c"},
      {{{"HF_HUB_CACHE", ""}}, ""},
      {{{"HUGGINGFACE_HUB_CACHE", "~/old"}}, "/h/old"},
      {{{"HUGGINGFACE_HUB_CACHE", "/old"}, {"HF_HUB_CACHE", "/new"}}, "/new"},
      {{{"HUGGINGFACE_HUB_CACHE", "/old"}, {"HF_HOME", "/home"}}, "/old"},
      {{{"HUGGINGFACE_HUB_CACHE", ""}}, ""},
      {{{"HF_HOME", "/b"}}, "/b/hub"},
      {{{"HF_HOME", "~/b"}}, "/h/b/hub"},
      {{{"HF_HOME", "$HOME/${X}b$X"}, {"X", "x"}}, "/h/xbx/hub"},
      {{{"HF_HOME", "$UNSET_/b/${UNSET_}"}}, "$UNSET_/b/${UNSET_}/hub"},
      {{{"HF_HOME", ""}}, "hub"},
      {{{"HF_HOME", "relative/"}}, "relative/hub"},
      {{{"HF_HOME", "${X"}, {"X", "x"}}, "${X/hub"},
      {{{"HF_HOME", "/${A$X/}$"}, {"X", "x"}}, "/${A$X/}$/hub"},
      {{{"HF_HOME", "/$X-$Xy/$$X"}, {"X", "x$X"}}, "/xx$X-$Xy/$xx$X/hub"},
      {{{"XDG_CACHE_HOME", "/x"}}, "/x/huggingface/hub"},
      {{{"XDG_CACHE_HOME", "~/x"}}, "/h/x/huggingface/hub"},
      {{{"XDG_CACHE_HOME", "$HOME/x"}}, "/h/x/huggingface/hub"},
      {{{"XDG_CACHE_HOME", ""}}, "huggingface/hub"},
      {{{"XDG_CACHE_HOME", "/x"}, {"HF_HOME", "/b"}}, "/b/hub"},
      {{}, "/h/.cache/huggingface/hub"},
      {{{"HOME", "/h/"}}, "/h/.cache/huggingface/hub"},
      {{{"HOME", "/"}}, "/.cache/huggingface/hub"},
      {{{"HOME", ""}}, "/.cache/huggingface/hub"},
      {{{"HF_HOME", "~"}, {"HOME", "/"}}, "/hub"}};
  for (const auto& [set, folder] : folders) {
    std::map<std::string, std::string> environment = set;
    environment.try_emplace("HOME", "/h");
    const Ran ran = run_program(ask({"-m", "org/none"}), {.environment = environment});
    EXPECT_TRUE(refuses(ran, 3, {"is not in " + folder + ". If"}));
  }
}

TEST_F(HubCache, HasAddressesForNames) {
  add_snapshot("2222", kGolden2);
  add_ref("bfloat16", "2222");
  add_ref("refs/pr/1", "2222");
  const auto arch = [&](const std::vector<std::string>& named) {
    return model_of(run_program(ask(named), around()))["arch"];
  };
  for (const std::string name :
       {"hf://org/name", "hf://org/name/", "hf://org/name@main", "hf://org/name@1111",
        "https://huggingface.co/org/name", "https://huggingface.co/org/name/",
        "http://huggingface.co/org/name?library=transformers#usage", "huggingface.co/org/name",
        "https://hf.co/org/name", "https://huggingface.co/org/name/tree/main",
        "https://huggingface.co/org/name/discussions"}) {
    EXPECT_EQ(arch({"-m", name}), "paligemma") << name;
    EXPECT_EQ(arch({"-hf", name}), "paligemma") << name;
  }
  for (const std::string name :
       {"hf://org/name@bfloat16", "hf://org/name@refs/pr/1", "hf://org/name@refs%2Fpr%2F1",
        "https://huggingface.co/org/name/tree/bfloat16",
        "https://huggingface.co/org/name/tree/2222",
        "https://huggingface.co/org/name/tree/refs%2Fpr%2F1",
        "https://huggingface.co/org/name/blob/bfloat16/config.json",
        "https://huggingface.co/org/name/resolve/refs/pr/1/config.json?download=true"}) {
    EXPECT_EQ(arch({"-m", name}), "paligemma2") << name;
  }
  EXPECT_EQ(arch({"-m", "hf://org/name", "--revision", "bfloat16"}), "paligemma2");
  EXPECT_EQ(arch({"-m", "hf://org/name@bfloat16", "--revision", "bfloat16"}), "paligemma2");
}

TEST_F(HubCache, HasNoModelsByOtherAddresses) {
  for (const std::string name :
       {"hf://org", "hf://org/name/config.json", "hf://", "https://huggingface.co/org",
        "https://huggingface.co/", "https://huggingface.co/datasets/org/name",
        "https://huggingface.co/spaces/org/name"}) {
    EXPECT_TRUE(refuses(run_program(ask({"-m", name}), around()), 2, {name})) << name;
  }
  EXPECT_TRUE(refuses(run_program(ask({"-m", "https://example.org/org/name"}), around()), 3));
  EXPECT_TRUE(refuses(run_program(ask({"-m", "hf://org/name@a", "--revision", "b"}), around()), 2,
                      {"--revision b", "a"}));
  EXPECT_TRUE(refuses(run_program(ask({"-m", "hf://org/none@a"}), around()), 3,
                      {"/scripts/download.sh org/none --revision a."}));
}

// A download that is not whole, in what it may lack.
class UnfinishedDownload : public HubCache {
 protected:
  void is_refused_for(const std::string& lacking) const {
    EXPECT_TRUE(refuses(run_program(ask({"-m", "org/name"}), around()), 3,
                        {"only in part", (snapshot_ / lacking).string() + " is missing",
                         "/scripts/download.sh org/name"}));
  }
  const fs::path snapshot_ = repository_ / "snapshots/1111";
};

TEST_F(UnfinishedDownload, NamesTheMissingFileAndTheCommandThatFinishesIt) {
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.model"}) {
    const fs::path target = fs::read_symlink(snapshot_ / name);
    fs::remove(snapshot_ / name);
    is_refused_for(name);
    fs::create_symlink("../../blobs/none", snapshot_ / name);
    is_refused_for(name);
    fs::remove(snapshot_ / name);
    fs::create_symlink(target, snapshot_ / name);
  }
  EXPECT_EQ(run_program(ask({"-m", "org/name"}), around()).exit_code, 0);
}

TEST_F(UnfinishedDownload, MayBeStillRunning) {
  fs::create_directories(repository_ / "blobs");
  write_text(repository_ / "blobs/abc.12345678.incomplete", "half");
  EXPECT_EQ(run_program(ask({"-m", "org/name"}), around()).exit_code, 0)
      << "left by a download that was begun again";
  fs::remove(snapshot_ / "model.safetensors");
  const Ran ran = run_program(ask({"-m", "org/name"}), around());
  EXPECT_TRUE(refuses(ran, 3, {"model.safetensors", "broke off, or still runs"}));
}

TEST_F(UnfinishedDownload, LacksAShard) {
  fs::remove(snapshot_ / "model.safetensors");
  write_text(snapshot_ / "model.safetensors.index.json",
             R"({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})");
  write_text(snapshot_ / "model-1.safetensors", "");
  is_refused_for("model-2.safetensors");
}

TEST_F(UnfinishedDownload, LacksWhatTheHubHas) {
  fs::create_directories(repository_ / "trees");
  write_text(repository_ / "trees/1111.json",
             R"({"format_version": 1, "files": {"processor_config.json": {"size": 1}}})");
  is_refused_for("processor_config.json");
}

TEST_F(UnfinishedDownload, IsEnoughForACommandThatNeedsNoMore) {
  fs::remove(snapshot_ / "model.safetensors");
  EXPECT_EQ(run_program({"tokenize", "-m", "org/name", "ocr"}, around()).exit_code, 0);
  fs::copy_file(kGolden + "/model.safetensors", snapshot_ / "model.safetensors");
  fs::remove(snapshot_ / "tokenizer.model");
  EXPECT_EQ(run_program({"inspect", "-m", "org/name"}, around()).exit_code, 0);
  EXPECT_EQ(
      run_program(ask({"-m", "org/name", "--tokenizer", kGolden + "/tokenizer.model"}), around())
          .exit_code,
      0);
}

}  // namespace
}  // namespace paligemma
