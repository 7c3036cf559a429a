// Weights that lose their bytes, or find no room, while a model is in use.
#include <gtest/gtest.h>

#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;

// `sh` starts the program, which answers one prompt; then the weights are cut and it is asked again.
TEST(CutShort, WeightsEndTheProgramWithOneLine) {
  const TemporaryFolder folder;
  copy_golden(folder / "model");
  const std::string script = "mkfifo prompts answers; '" + program() + "' -m model --image '" +
                             kPicture +
                             "' -n 1 <prompts >answers & exec 3>prompts 4<answers; "
                             "echo ocr >&3; read -r answer <&4; : >model/model.safetensors; echo "
                             "ocr >&3; exec 3>&-; wait $!";
  const Ran ran = run_command({"sh", "-c", "cd '" + folder.path().string() + "'; " + script});
  EXPECT_EQ(ran.exit_code, 4) << ran;
  EXPECT_NE(ran.err.find("paligemma: model/model.safetensors: was cut short"), std::string::npos)
      << ran;
  EXPECT_EQ(count_lines(ran.err), 2u) << ran;  // the first answer was cut off, and its note says so
}

TEST(CutShort, AFileThatFindsNoRoomIsNotBroken) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "its shadow finds none either";
#endif
  const TemporaryFolder folder;
  copy_golden(folder / "model");
  const std::string header =
      R"({"x":{"dtype":"U8","shape":[8589934592],"data_offsets":[0,8589934592]}})";
  write_safetensors(folder / "model/model.safetensors", header.size(), header, "");
  std::filesystem::resize_file(folder / "model/model.safetensors",
                               8 + header.size() + (std::uint64_t{1} << 33));
  const Ran ran = run_command({"sh", "-c",
                               "ulimit -v 4000000; exec '" + program() + "' inspect '" +
                                   (folder / "model").string() + "'"});
  EXPECT_TRUE(refuses(ran, 1, {"out of memory"}));
}

// The signal that says so would leave a piece behind.
TEST(CutShort, AFileThatMayNotGrowIsOneLine) {
  const TemporaryFolder folder;
  const std::string out = (folder / "out").string();
  const Ran ran = run_command({"sh", "-c",
                               "ulimit -f 64; exec '" + program() + "' quantize '" + kGolden +
                                   "' '" + out + "' --dtype int8"});
  EXPECT_TRUE(refuses(ran, 1, {"model.safetensors", "cannot be written"}));
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace paligemma
