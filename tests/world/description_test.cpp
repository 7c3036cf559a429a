#include "world/description.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/support/error_text.h"
#include "world/geometry.h"

namespace paligemma::world {
namespace {

using test::holds;

std::string error_of(const std::string& description) {
  return test::error_text<std::invalid_argument>([&] { parse_scene(description); });
}

// docs/world/render.md, "By hand".
TEST(Descriptions, WorkedExample) {
  const Scene scene = parse_scene("large red circle @ 60,80; small blue square @ 160,150");
  ASSERT_EQ(scene.objects.size(), 2u);
  const Object &circle = scene.objects[0], &square = scene.objects[1];
  EXPECT_EQ(circle.color, Color::red);
  EXPECT_EQ(circle.shape, Shape::circle);
  EXPECT_EQ(circle.radius, 38);
  EXPECT_EQ(circle.x, 60);
  EXPECT_EQ(circle.y, 80);
  EXPECT_EQ(circle.fill, typical(Color::red));
  EXPECT_EQ(square.color, Color::blue);
  EXPECT_EQ(square.shape, Shape::square);
  EXPECT_EQ(square.radius, 24);
  EXPECT_EQ(square.x, 160);
  EXPECT_EQ(square.y, 150);
  EXPECT_FALSE(scene.writing);
  EXPECT_EQ(scene.look.width, 224);
  EXPECT_EQ(scene.look.background, (Rgb{1, 1, 1}));

  const Truth truth = truth_of(scene);
  const CanvasBox wanted[] = {{42, 22, 118, 98}, {128.4, 138.4, 171.6, 181.6}};
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(truth.things[i].box[k], wanted[i][k], 1e-9);
  }
}

TEST(Descriptions, KnowEveryColorShapeAndSize) {
  for (int c = 0; c < kColors; ++c) {
    for (int s = 0; s < kShapes; ++s) {
      const std::string words =
          std::string(name_of(Color{c})) + " " + std::string(name_of(Shape{s}));
      for (const auto& [size, radius] :
           {std::pair{"small ", kSmall}, {"", kMedium}, {"large ", kLarge}}) {
        const Scene scene = parse_scene(size + words);
        ASSERT_EQ(scene.objects.size(), 1u);
        EXPECT_EQ(scene.objects[0].color, Color{c});
        EXPECT_EQ(scene.objects[0].shape, Shape{s});
        EXPECT_EQ(scene.objects[0].radius, radius);
      }
    }
  }
}

TEST(Descriptions, MayHoldAText) {
  const Scene scene = parse_scene(R"("A7" @ 112,200; black star @ 50.5,60)");
  ASSERT_TRUE(scene.writing);
  EXPECT_EQ(scene.writing->text, "A7");
  EXPECT_EQ(scene.writing->x, 112);
  EXPECT_EQ(scene.writing->y, 200);
  ASSERT_EQ(scene.objects.size(), 1u);
  EXPECT_EQ(scene.objects[0].x, 50.5);
}

TEST(Descriptions, StandInARowWithoutPlaces) {
  const Scene scene = parse_scene("red star; blue star @ 20,30; \"X\"; green heart;");
  ASSERT_EQ(scene.objects.size(), 3u);
  EXPECT_NEAR(scene.objects[0].x, 224 / 6.0, 1e-9);
  EXPECT_NEAR(scene.writing->x, 224 / 2.0, 1e-9);
  EXPECT_NEAR(scene.objects[2].x, 224 * 5 / 6.0, 1e-9);
  for (const double y : {scene.objects[0].y, scene.writing->y, scene.objects[2].y}) {
    EXPECT_EQ(y, 112);
  }
  EXPECT_EQ(scene.objects[1].x, 20);
  EXPECT_EQ(scene.objects[1].y, 30);
}

TEST(Descriptions, DoNotMindBlanksArticlesAndOrder) {
  for (const char* text : {"small red star@10,20", "  a small red star @ 10 , 20 ;",
                           "\tred  star\nsmall @10,\n20", "a star small an red @ 10,20.0"}) {
    const Scene scene = parse_scene(text);
    ASSERT_EQ(scene.objects.size(), 1u) << text;
    EXPECT_EQ(scene.objects[0].color, Color::red) << text;
    EXPECT_EQ(scene.objects[0].shape, Shape::star) << text;
    EXPECT_EQ(scene.objects[0].radius, kSmall) << text;
    EXPECT_EQ(scene.objects[0].x, 10) << text;
    EXPECT_EQ(scene.objects[0].y, 20) << text;
  }
}

TEST(Descriptions, MayBeEmpty) {
  for (const char* text : {"", " ", "\n\t "}) {
    const Scene scene = parse_scene(text);
    EXPECT_TRUE(scene.objects.empty());
    EXPECT_FALSE(scene.writing);
  }
}

TEST(Descriptions, ReachTheEdgesOfTheCanvas) {
  const Scene scene = parse_scene("red star @ 0,224");
  EXPECT_EQ(scene.objects[0].x, 0);
  EXPECT_EQ(scene.objects[0].y, 224);
}

TEST(Descriptions, SayWhichWordIsUnknown) {
  EXPECT_TRUE(holds(error_of("red circle; crimson heart @ 1,2"), "\"crimson\" is no color",
                    "in \"crimson heart @ 1,2\""));
  EXPECT_TRUE(holds(error_of("red circles"), "\"circles\" is no color"));
  EXPECT_TRUE(holds(error_of("Red circle"), "\"Red\" is no color"));
}

TEST(Descriptions, SayWhichWordIsOneTooMany) {
  EXPECT_TRUE(
      holds(error_of("red blue circle"), "\"blue\" is one too many", "in \"red blue circle\""));
  EXPECT_TRUE(holds(error_of("red circle star"), "\"star\" is one too many"));
  EXPECT_TRUE(holds(error_of("small large red circle"), "\"large\" is one too many"));
}

TEST(Descriptions, SayWhatIsMissing) {
  for (const char* text : {"red", "circle @ 1,2", "small", "a", ";", "red circle;;blue star"}) {
    EXPECT_TRUE(holds(error_of(text), "a color and a shape are needed")) << text;
  }
  EXPECT_TRUE(holds(error_of("red circle; blue"), "not \"blue\""));
}

TEST(Descriptions, SayWhatAPlaceIs) {
  for (const char* place : {"@", "@ 1", "@ 1,", "@ ,1", "@ 1,2,3", "@ 1 2", "@ x,2", "@ -1,2",
                            "@ 1,224.5", "@ 300,2", "@ nan,2", "@ inf,2", "@ 1,2 large", "@ 1@2"}) {
    const std::string item = std::string("red circle ") + place;
    EXPECT_TRUE(holds(error_of(item), "two numbers from 0 to 224", "not \"" + item + "\""))
        << place;
  }
}

TEST(Descriptions, SayWhatATextIs) {
  for (const char* text : {"\"\"", "\"ABCDEF\"", "\"ab\"", "\"A B\"", "\"A-B\""}) {
    EXPECT_TRUE(holds(error_of(text), "1 to 5 of A to Z and 0 to 9", text)) << text;
  }
  EXPECT_TRUE(holds(error_of("\"A\"; \"B\""), "one text at most"));
  EXPECT_TRUE(holds(error_of("\"A"), "no color, shape or size"));
}

}  // namespace
}  // namespace paligemma::world
