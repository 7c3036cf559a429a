// Pictures of all kinds: what is read, and what is refused with one line and exit code 5.
#include <sys/stat.h>

#include <thread>

#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;

const std::string kPictures = source_dir() + "/tests/data/pictures/";

Ran look_at(const std::string& picture, const Surroundings& around = {}) {
  return run_program({"-m", kGolden, "--image", picture, "-p", "caption en", "-n", "2"}, around);
}

class Picture : public ::testing::Test {
 protected:
  Ran look_at_bytes(const std::string& bytes, const std::string& name = "picture.png") const {
    write_text(folder_ / name, bytes);
    return look_at(folder_ / name);
  }
  TemporaryFolder folder_;
};

TEST_F(Picture, OfEveryCommonKindIsRead) {
  for (const char* name :
       {"rgb.png", "rgba.png", "grey.png", "grey_alpha.png", "rgb16.png", "grey16.png",
        "palette.png", "palette_transparent.png", "one_bit.png", "interlaced.png", "baseline.jpg",
        "progressive.jpg", "palette.gif", "rgb.bmp", "rgb.ppm", "grey.pgm"}) {
    const Ran ran = look_at(kPictures + name);
    EXPECT_EQ(ran.exit_code, 0) << name << ran;
    EXPECT_EQ(ran.err, cut_at(2)) << name;
    EXPECT_TRUE(ran.out.ends_with('\n')) << name;
  }
}

TEST_F(Picture, IsKnownByItsBytesNotItsName) {
  EXPECT_EQ(look_at_bytes(read_bytes(kPicture), "picture.jpg").out, look_at(kPicture).out);
  EXPECT_EQ(look_at_bytes(read_bytes(kPicture), "picture").out, look_at(kPicture).out);
}

TEST_F(Picture, MayComeFromStandardInput) {
  EXPECT_EQ(look_at("-", {.input = read_bytes(kPicture)}).out, look_at(kPicture).out);
  EXPECT_TRUE(refuses(look_at("-"), 5, {"standard input", "empty"}));
  EXPECT_TRUE(refuses(look_at("-", {.input = "no picture"}), 5, {"standard input"}));
  EXPECT_TRUE(refuses(run_program({"-m", kGolden, "--image", "-"}), 2, {"-p"}));
}

TEST_F(Picture, ThatIsMissingIsRefused) {
  EXPECT_TRUE(refuses(look_at("/nonexistent.png"), 5, {"/nonexistent.png", "no such file"}));
  EXPECT_TRUE(refuses(look_at(""), 5));
}

TEST_F(Picture, ThatWouldHaveToBeFetchedIsRefusedWithTheCommandThatDoes) {
  for (const std::string address :
       {"https://example.org/a.png", "http://example.org/a.png", "HTTPS://example.org/a%20b.png"}) {
    EXPECT_TRUE(refuses(look_at(address), 5, {"curl -L " + address + " | paligemma --image - "}));
  }
  const std::string quoted = R"('https://a.org/?x=1&y='\''' |)";
  EXPECT_TRUE(refuses(look_at("https://a.org/?x=1&y='"), 5, {"curl -L " + quoted}));
  EXPECT_TRUE(refuses(run_program({"caption", "https://example.org/a.png"}), 5, {"curl -L"}));
}

TEST_F(Picture, MayBeAFileAddress) {
  const std::string in = "file://" + folder_.path().string(), expected = look_at(kPicture).out;
  std::filesystem::copy_file(kPicture, folder_ / "my photo é%20.png");
  std::filesystem::copy_file(kPicture, folder_ / "100%.png");
  EXPECT_EQ(look_at(in + "/my%20photo%20%C3%A9%2520.png").out, expected);
  EXPECT_EQ(look_at("FILE://localhost" + in.substr(7) + "/my photo %c3%a9%2520.png").out, expected);
  EXPECT_EQ(look_at(in + "/100%.png").out, expected);
  EXPECT_TRUE(refuses(look_at("file://elsewhere/a.png"), 5, {"elsewhere"}));
  EXPECT_TRUE(refuses(look_at(in + "/none.png"), 5, {in.substr(7) + "/none.png"}));
  EXPECT_TRUE(refuses(look_at(in + "/100%.png%00x"), 5, {"%00x"}));
}

TEST_F(Picture, MayComeFromAPipe) {
  EXPECT_EQ(look_at("/dev/stdin", {.input = read_bytes(kPicture)}).out, look_at(kPicture).out);
  const std::filesystem::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] { write_text(pipe, read_bytes(kPicture)); });
  EXPECT_EQ(look_at(pipe).out, look_at(kPicture).out);
  writer.join();
}

TEST_F(Picture, ThatIsADeviceIsRefused) {
  EXPECT_TRUE(refuses(look_at("/dev/zero"), 5, {"/dev/zero", "device"}));
}

// Even root meets these: a name too long for a file, a file that is no folder, a loop of links.
TEST_F(Picture, ThatCannotBeLookedUpIsRefused) {
  std::filesystem::create_symlink("loop", folder_ / "loop");
  for (const std::string& path :
       {std::string(300, 'a'), kPicture + "/picture.png", (folder_ / "loop").string()}) {
    EXPECT_TRUE(refuses(look_at(path), 5, {path}));
  }
}

TEST_F(Picture, ThatIsAFolderWithoutOneIsRefused) {
  EXPECT_TRUE(refuses(look_at(folder_.path()), 2, {"no picture is in this folder"}));
}

TEST_F(Picture, ThatIsEmptyIsRefused) {
  EXPECT_TRUE(refuses(look_at_bytes(""), 5, {"picture.png", "empty"}));
}

TEST_F(Picture, ThatIsCutOffIsRefused) {
  for (const char* name :
       {"rgb.png", "baseline.jpg", "progressive.jpg", "palette.gif", "rgb.bmp", "rgb.ppm"}) {
    const std::string bytes = read_bytes(kPictures + name);
    EXPECT_TRUE(refuses(look_at_bytes(bytes.substr(0, bytes.size() / 2), name), 5, {name}));
  }
}

TEST_F(Picture, OfAnotherKindIsRefusedByItsKind) {
  EXPECT_TRUE(refuses(look_at(kPictures + "tiff_named.png"), 5, {"TIFF"}));
  EXPECT_TRUE(refuses(look_at(kPictures + "svg_named.png"), 5, {"SVG"}));
  EXPECT_TRUE(refuses(look_at_bytes("just text"), 5, {"not a picture"}));
}

TEST_F(Picture, ThatIsEnormousIsRefusedBeforeMemoryIsTaken) {
  std::string bytes = read_bytes(kPictures + "rgb.png");
  bytes[18] = bytes[22] = '\x7f';  // two bytes of width and height
  EXPECT_TRUE(refuses(look_at_bytes(bytes), 5, {"pixels"}));
  bytes[16] = bytes[20] = '\x7f';
  EXPECT_TRUE(refuses(look_at_bytes(bytes), 5, {"picture.png"}));
}

TEST_F(Picture, OfDamagedBytesNeverCrashes) {
  const std::string bytes = read_bytes(kPicture);
  for (std::size_t at = 8; at < bytes.size(); at += 61) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(~damaged[at]);
    const Ran ran = look_at_bytes(damaged);
    EXPECT_TRUE(ran.exit_code == 0 || refuses(ran, 5)) << "byte " << at << ran;
  }
}

}  // namespace
}  // namespace paligemma
