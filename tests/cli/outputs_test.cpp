// What is written where: pictures by -o, and the answer beside them. Nothing that is read is written over.
#include <nlohmann/json.hpp>

#include "processing/image_file.h"
#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;
namespace fs = std::filesystem;

const std::string kBoxes = "<loc0100><loc0200><loc0700><loc0800> red circle";
const std::string kPng = "\x89PNG\r\n\x1a\n";

// A model that answers with a box, and a picture of the user's own.
class Output : public ::testing::Test {
 protected:
  Output() {
    write_scripted_model(folder_ / "model", kBoxes);
    fs::copy_file(kPicture, photo_);
  }
  std::vector<std::string> words(const std::vector<std::string>& more) const {
    std::vector<std::string> all{"-m", folder_ / "model", "-p", "detect x"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Ran ask(const std::vector<std::string>& more, const Surroundings& around = {}) const {
    return run_program(words(more), around);
  }
  // With no room for a file of more than a kilobyte.
  Ran ask_on_a_full_disk(const std::vector<std::string>& more) const {
    std::vector<std::string> command{"bash", "-c", "ulimit -f 1; exec \"$0\" \"$@\"", program()};
    const auto all = words(more);
    command.insert(command.end(), all.begin(), all.end());
    return run_command(command);
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()));
  }

  TemporaryFolder folder_;
  const std::string photo_ = folder_ / "photo.png";
  const std::string before_ = read_bytes(kPicture);
};

TEST_F(Output, IsNeverThePictureItself) {
  fs::create_symlink("photo.png", folder_ / "link.png");
  fs::create_hard_link(photo_, folder_ / "hard.png");
  fs::create_directory_symlink(folder_.path(), folder_ / "folder");
  for (const std::string name :
       {"photo.png", "link.png", "hard.png", "folder/photo.png", "model/../photo.png"}) {
    for (const std::string flag : {"-o", "--trace"}) {
      EXPECT_TRUE(refuses(ask({"--image", photo_, flag, folder_ / name}), 2, {name}));
      EXPECT_TRUE(refuses(ask({"--image", folder_ / name, flag, photo_}), 2, {"photo.png"}));
      EXPECT_EQ(read_bytes(photo_), before_) << name;
    }
  }
  EXPECT_TRUE(refuses(run_program({"caption", photo_, "-o", photo_}), 2, {photo_}));
}

TEST_F(Output, IsNotThePictureOnStandardInput) {
  const std::string script =
      "'" + program() + "' -p ocr --image - -o '" + photo_ + "' <'" + photo_ + "'";
  EXPECT_TRUE(refuses(run_command({"bash", "-c", script}), 2, {"standard input"}));
  EXPECT_EQ(read_bytes(photo_), before_);
}

TEST_F(Output, IsNoOtherFileThatIsRead) {
  const std::string prompt = folder_ / "prompt.png", trace = folder_ / "both.png";
  write_text(prompt, "ocr");
  EXPECT_TRUE(refuses(run_program({"--image", photo_, "-f", prompt, "-o", prompt}), 2, {prompt}));
  EXPECT_TRUE(refuses(ask({"--image", photo_, "-o", trace, "--trace", trace}), 2, {"--trace"}));
  const std::string weights = folder_ / "model/model.safetensors";
  EXPECT_TRUE(
      refuses(run_program({"-m", weights, "--image", photo_, "-p", "a", "--trace", weights}), 2,
              {weights}));
}

TEST_F(Output, IsNotAPictureOfTheNextLineEither) {
  const std::string drawn = folder_ / "drawn.png";
  const Ran ran = run_program({"-m", folder_ / "model", "--image", photo_, "-o", drawn},
                              {.input = "a\n/image " + drawn + "\nb\n"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out, kBoxes + "\n" + kBoxes + "\n");
  EXPECT_EQ(count_lines(ran.err), 1u) << ran;
  EXPECT_NE(ran.err.find("would write over"), std::string::npos) << ran;
}

TEST_F(Output, ThatFailsLeavesWhatWasThere) {
  const std::string large = source_dir() + "/examples/pictures/scene.png";
  const std::string drawn = folder_ / "drawn.png";
  write_text(drawn, "what was there");
  const std::size_t before = files();
  for (const std::string flag : {"-o", "--trace"}) {
    const Ran ran = ask_on_a_full_disk({"--image", large, flag, drawn});
    EXPECT_EQ(ran.exit_code, 1) << ran;
    EXPECT_EQ(ran.err, "paligemma: " + drawn + ": cannot be written\n");
    EXPECT_EQ(read_bytes(drawn), "what was there");
    EXPECT_EQ(files(), before);
  }
  fs::create_symlink("/dev/full", folder_ / "full.png");
  EXPECT_EQ(ask({"--image", photo_, "-o", folder_ / "full.png"}).exit_code, 1);
}

TEST_F(Output, OfATapThatFailsLeavesWhatWasThere) {
  const fs::path pixels = folder_ / "taps/img/pixels.npy";
  fs::create_directories(pixels.parent_path());
  write_text(pixels, "what was there");
  const Ran ran = ask_on_a_full_disk({"--image", photo_, "--dump", folder_ / "taps"});
  EXPECT_TRUE(refuses(ran, 1, {pixels, "cannot be written"}));
  EXPECT_EQ(read_bytes(pixels), "what was there");
}

TEST_F(Output, IsOfTheFormatThatItsNameSays) {
  const RgbImage drawn = [&] {
    EXPECT_EQ(ask({"--image", photo_, "-o", folder_ / "a.png"}).exit_code, 0);
    return read_image(folder_ / "a.png");
  }();
  for (const auto& [name, magic] : std::map<std::string, std::string>{{"b.png", kPng},
                                                                      {"b.PNG", kPng},
                                                                      {"b.jpg", "\xff\xd8\xff"},
                                                                      {"b.jpeg", "\xff\xd8\xff"},
                                                                      {"b.JPG", "\xff\xd8\xff"},
                                                                      {"b.bmp", "BM"},
                                                                      {"b.tga", ""}}) {
    const Ran ran = ask({"--image", photo_, "-o", folder_ / name});
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_TRUE(read_bytes(folder_ / name).starts_with(magic)) << name;
    EXPECT_EQ(read_image(folder_ / name).view().shape(), drawn.view().shape()) << name;
  }
}

TEST_F(Output, OfAnUnknownEndingIsRefused) {
  for (const std::string name :
       {"a", "a.webp", "a.gif", "a.txt", "png", ".png", "a.png.", "a.jpgx"}) {
    EXPECT_TRUE(refuses(ask({"--image", photo_, "-o", folder_ / name}), 2, {name, ".jpeg"}));
    EXPECT_FALSE(fs::exists(folder_ / name)) << name;
  }
  EXPECT_TRUE(refuses(run_program({"scene", "red circle", "-o", folder_ / "a.svg"}), 2, {"a.svg"}));
}

TEST_F(Output, MayBeStandardOutputAndThenTheAnswerIsOnStandardError) {
  ASSERT_EQ(ask({"--image", photo_, "-o", folder_ / "a.png"}).exit_code, 0);
  const Ran ran = ask({"--image", photo_, "-o", "-"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_TRUE(ran.out == read_bytes(folder_ / "a.png"));
  EXPECT_EQ(ran.err, kBoxes + "\n");

  const Ran as_json = ask({"--image", photo_, "-o", "-", "--json"});
  EXPECT_TRUE(as_json.out == ran.out);
  EXPECT_EQ(json::parse(as_json.err)["text"], kBoxes);
  EXPECT_EQ(ask({"--image", "-", "-o", "-"}, {.input = before_}).out, ran.out);
  EXPECT_FALSE(fs::exists("-"));
}

TEST_F(Output, OnStandardOutputIsOnePicture) {
  const Ran ran =
      run_program({"-m", folder_ / "model", "--image", photo_, "-o", "-"}, {.input = "a\n"});
  EXPECT_TRUE(refuses(ran, 2, {"-p"}));
}

TEST_F(Output, OnStandardOutputThatIsFullIsAnError) {
  EXPECT_EQ(ask({"--image", photo_, "-o", "-"}, {.out = "/dev/full"}).exit_code, 1);
}

TEST(SceneOutput, MayBeStandardOutputToo) {
  const Ran ran = run_program({"scene", "red circle", "-o", "-"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_TRUE(ran.out.starts_with(kPng));
  EXPECT_EQ(json::parse(ran.err)["objects"][0]["color"], "red");
}

}  // namespace
}  // namespace paligemma
