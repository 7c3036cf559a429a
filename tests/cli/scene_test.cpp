// paligemma scene: a picture, and the truth about it.
#include <nlohmann/json.hpp>

#include "processing/image_file.h"
#include "tests/support/run_program.h"
#include "world/board.h"
#include "world/render.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

// docs/cli.md, "Scenes, and how good a model is".
TEST(Scene, TellsTheTruthAboutADescription) {
  const Ran ran =
      run_program({"scene", "large red circle @ 60,80; blue square @ 160,150; \"A7\" @ 60,180"});
  ASSERT_EQ(ran.exit_code, 0) << ran;
  const json truth = json::parse(ran.out);
  EXPECT_EQ(truth["width"], 224);
  ASSERT_EQ(truth["objects"].size(), 2u);
  const json circle = truth["objects"][0], square = truth["objects"][1];
  EXPECT_EQ(circle["color"], "red");
  EXPECT_EQ(circle["shape"], "circle");
  EXPECT_EQ(circle["size"], "large");
  EXPECT_EQ(circle["box_xyxy"], json({22.0, 42.0, 98.0, 118.0}));  // 60 +- 38, 80 +- 38
  EXPECT_EQ(square["size"], "medium");
  EXPECT_EQ(square["box_xyxy"], json({133.0, 123.0, 187.0, 177.0}));  // half a side is 0.9 x 30
  EXPECT_EQ(truth["text"]["text"], "A7");
  EXPECT_FALSE(circle.contains("mask_png_base64"));
}

TEST(Scene, IsDrawnToAFile) {
  const TemporaryFolder folder;
  const auto file = folder / "scene.png";
  ASSERT_EQ(run_program({"scene", "red circle @ 60,80", "-o", file}).exit_code, 0);
  const RgbImage image = read_image(file);
  EXPECT_EQ(image.view().size(0), 224);
  EXPECT_GT(image.view()(80, 60, 0), 200);  // red
  EXPECT_LT(image.view()(80, 60, 1), 60);
  EXPECT_EQ(image.view()(10, 10, 1), 255);  // white
}

TEST(Scene, ByNumberIsThatOfTheSplit) {
  const TemporaryFolder folder;
  for (const std::string split : {"test", "held-out"}) {
    const auto file = folder / (split + ".png");
    const Ran ran = run_program({"scene", "--split", split, "--seed", "5", "-o", file});
    ASSERT_EQ(ran.exit_code, 0) << ran;
    const auto scene = world::random_scene(world::split_named(split), 5);
    EXPECT_EQ(json::parse(ran.out)["objects"].size(), scene.objects.size());
    const RgbImage drawn = world::render(scene), read = read_image(file);
    ASSERT_EQ(drawn.view().shape(), read.view().shape());
    EXPECT_TRUE(std::equal(drawn.view().data(), drawn.view().data() + drawn.view().count(),
                           read.view().data()));
  }
}

TEST(Scene, ShowsMasksOnRequest) {
  const Ran ran = run_program({"scene", "red circle", "--masks"});
  ASSERT_EQ(ran.exit_code, 0) << ran;
  const std::string mask = json::parse(ran.out)["objects"][0]["mask_png_base64"];
  EXPECT_TRUE(mask.starts_with("iVBORw0KGgo")) << mask;  // a PNG's first bytes
}

// docs/cli.md, "Scenes, and how good a model is".
TEST(Scene, IsABoardIfAsked) {
  const TemporaryFolder folder;
  const auto file = folder / "board.png";
  const Ran ran = run_program({"scene", "--board", "xo..x...x", "-o", file});
  ASSERT_EQ(ran.exit_code, 0) << ran;
  const json truth = json::parse(ran.out);
  EXPECT_EQ(truth["width"], 224);
  EXPECT_EQ(truth["board"], "xo..x...x");
  EXPECT_EQ(truth["winner"], "X");
  ASSERT_EQ(truth["cells_xyxy"].size(), 9u);
  EXPECT_EQ(truth["cells_xyxy"][5], json({142.0, 82.0, 202.0, 142.0}));
  const RgbImage image = read_image(file);
  EXPECT_GT(image.view()(112, 112, 2), 200) << "a blue cross";
  EXPECT_EQ(image.view()(112, 172, 2), 255) << "nothing";

  const Ran by_number = run_program({"scene", "--board", "--split", "val", "-s", "7"});
  ASSERT_EQ(by_number.exit_code, 0) << by_number;
  const auto board = world::random_board(world::Split::validation, 7);
  EXPECT_EQ(json::parse(by_number.out)["board"], world::text_of(board.cells));
}

TEST(Scene, RefusesWhatItCannotDraw) {
  EXPECT_TRUE(refuses(run_program({"scene", "red dog"}), 2, {"dog"}));
  EXPECT_TRUE(refuses(run_program({"scene", "red circle @ 900,1"}), 2, {"224"}));
  EXPECT_TRUE(refuses(run_program({"scene", "--split", "other"}), 2, {"other"}));
  EXPECT_TRUE(refuses(run_program({"scene", "--board", "xo"}), 2, {"nine cells"}));
  EXPECT_TRUE(refuses(run_program({"scene", "--board", "--masks"}), 2, {"--masks"}));
  EXPECT_TRUE(refuses(run_program({"scene", "red circle", "-o", "/nonexistent/a.png"}), 1,
                      {"/nonexistent/a.png"}));
}

}  // namespace
}  // namespace paligemma
