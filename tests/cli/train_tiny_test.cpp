// paligemma train-tiny: what it refuses, before it has learned anything.
#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;

class TrainTiny : public ::testing::Test {
 protected:
  Ran learn(const std::vector<std::string>& more, const std::string& out = "out") const {
    std::vector<std::string> all{"train-tiny", "--steps", "1", "--out", path(out)};
    all.insert(all.end(), more.begin(), more.end());
    return run_program(all);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  TemporaryFolder folder_;
};

TEST_F(TrainTiny, SaysWhatFlagIsWrong) {
  EXPECT_TRUE(refuses(run_program({"train-tiny"}), 2, {"--out"}));
  EXPECT_TRUE(refuses(run_program({"train-tiny", "--steps", "0", "--out", path("out")}), 2,
                      {"--steps", "at least 1"}));
  EXPECT_TRUE(refuses(learn({"--device", "cuda:0"}), 2, {"cuda:0", "CPU"}));
  EXPECT_TRUE(refuses(learn({"--device", "emulated"}), 2, {"emulated", "CPU"}));
  EXPECT_TRUE(refuses(learn({"--batch", "2"}), 2, {"--batch"}));
  EXPECT_TRUE(refuses(learn({"--data", "x"}), 2, {"--data"}));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

TEST_F(TrainTiny, RefusesAFolderThatIsNotItsOwn) {
  std::filesystem::create_directory(path("full"));
  write_text(folder_ / "full/thesis.txt", "do not lose this");
  EXPECT_TRUE(refuses(learn({}, "full"), 2, {"full", "something else"}));
  EXPECT_TRUE(refuses(learn({}, "full/thesis.txt"), 2, {"no folder"}));
  std::filesystem::create_directories(path("diary/vision"));
  write_text(folder_ / "diary/vision/log.jsonl", "dear diary\n");
  EXPECT_TRUE(refuses(learn({}, "diary"), 2, {"log.jsonl", "no log"}));
  EXPECT_EQ(read_bytes(path("diary/vision/log.jsonl")), "dear diary\n");
}

// Nothing is left behind that would be in the way of the same command with the right folder.
TEST_F(TrainTiny, RefusesAFolderWithoutPhotos) {
  const auto photos = [&](const std::string& name) { return learn({"--photos", path(name)}); };
  std::filesystem::create_directory(path("photos"));
  EXPECT_TRUE(refuses(photos("nowhere"), 3, {"nowhere", "no such folder"}));
  EXPECT_TRUE(refuses(photos("photos"), 5, {"photos", "no pictures"}));
  write_text(folder_ / "photos/bad.png", "not a picture");
  EXPECT_TRUE(refuses(photos("photos"), 5, {"bad.png"}));
  EXPECT_TRUE(std::filesystem::is_empty(path("out")));
}

TEST_F(TrainTiny, RefusesAMaskDecoderWithoutAnEncoder) {
  EXPECT_TRUE(refuses(learn({"--mask-decoder", path("nowhere.npz")}), 3, {"nowhere.npz"}));
  EXPECT_TRUE(refuses(learn({"-m", kGolden}), 3, {"vae-oid.npz"}));
}

}  // namespace
}  // namespace paligemma
