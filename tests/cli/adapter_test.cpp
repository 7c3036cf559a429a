// --adapter and `paligemma merge`.
#include "tests/support/adapter_golden.h"
#include "tests/support/checkpoint_files.h"
#include "tests/support/error_text.h"
#include "tests/support/run_program.h"

namespace paligemma {
namespace {

using namespace test;

class Adapters : public ::testing::Test {
 protected:
  // The ids of an answer.
  static std::vector<TokenId> said(const std::filesystem::path& model,
                                   const std::vector<std::string>& more = {},
                                   const Surroundings& around = {}) {
    std::vector<std::string> words{"-m",         model, "--image", kPicture, "-p",
                                   "caption en", "-n",  "12",      "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Ran ran = run_program(words, around);
    EXPECT_EQ(ran.exit_code, 0) << ran;
    std::vector<TokenId> ids;
    const auto answer = nlohmann::json::parse(ran.out);
    for (const auto& token : answer["tokens"]) ids.push_back(token["id"]);
    return ids;
  }

  const AdapterGolden golden_{1};
  const TemporaryFolder folder_;
};

TEST_F(Adapters, ChangeWhatIsSaid) {
  EXPECT_EQ(said(kGolden), golden_.without);
  EXPECT_EQ(said(kGolden, {"--adapter", golden_.folder / "dora"}), golden_.answers.at("dora"));
  EXPECT_EQ(said(kGolden, {"--lora", golden_.folder / "dora"}), golden_.answers.at("dora"));
}

TEST_F(Adapters, AreMergedByACommand) {
  const std::string out = folder_ / "out", adapter = golden_.folder / "head";
  const Ran ran = run_program({"merge", "-m", kGolden, "--adapter", adapter, out});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_TRUE(holds(ran.err, "head of its own", "merge_and_unload"));
  EXPECT_EQ(said(out), golden_.answers.at("head"));
  EXPECT_TRUE(refuses(run_program({"merge", "-m", kGolden, "--adapter", adapter, out}), 1,
                      {out, "there is a model already"}));
}

TEST_F(Adapters, MayLieInTheHubsCache) {
  const auto repository = folder_ / "hub/models--me--mine";
  const std::string commit(40, 'a');
  std::filesystem::create_directories(repository / "snapshots");
  std::filesystem::create_directories(repository / "refs");
  write_text(repository / "refs/main", commit);
  std::filesystem::copy(golden_.folder / "dora", repository / "snapshots" / commit);
  const Surroundings cache{.environment = {{"HF_HUB_CACHE", folder_ / "hub"}}};
  EXPECT_EQ(said(kGolden, {"--adapter", "me/mine"}, cache), golden_.answers.at("dora"));
  const Ran ran =
      run_program({"-m", kGolden, "--image", kPicture, "-p", "ocr", "--adapter", "me/none"}, cache);
  EXPECT_TRUE(refuses(ran, 3, {"me/none", "download.sh me/none"}));
}

TEST_F(Adapters, MustBeThereAndFit) {
  const std::string out = folder_ / "out", adapter = golden_.folder / "dora";
  const auto ask = [&](const std::string& model, const std::string& given) {
    return run_program({"-m", model, "--image", kPicture, "-p", "ocr", "--adapter", given});
  };
  EXPECT_TRUE(refuses(ask(kGolden, folder_ / "nowhere"), 3, {"nowhere"}));
  EXPECT_TRUE(refuses(ask(kGolden2, adapter), 4, {"dora/adapter_model.safetensors"}));
  EXPECT_TRUE(refuses(ask(kGolden, kGolden), 3, {"adapter_model.safetensors"}));
  EXPECT_TRUE(refuses(run_program({"merge", "-m", kGolden, out}), 2, {"--adapter"}));
  EXPECT_TRUE(
      refuses(run_program({"merge", "-m", kGolden, "--adapter", adapter}), 2, {"where to"}));
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(Adapters, AreNotForModelsOfZeta) {
  const std::string adapter = golden_.folder / "dora", recall = source_dir() + "/models/recall";
  EXPECT_TRUE(
      refuses(run_program({"-m", recall, "-p", "q", "--adapter", adapter}), 2, {"--adapter"}));
  EXPECT_TRUE(refuses(run_program({"merge", "-m", recall, "--adapter", adapter, folder_ / "out"}),
                      2, {"--adapter", "Transformer"}));
}

}  // namespace
}  // namespace paligemma
