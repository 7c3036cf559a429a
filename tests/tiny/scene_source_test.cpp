#include "tiny/scene_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include "processing/write_image.h"
#include "tensor/errors.h"
#include "tests/support/error_text.h"
#include "tests/support/pictures.h"
#include "tests/support/temporary_folder.h"
#include "world/render.h"

namespace paligemma::tiny {
namespace {

using namespace test;
using world::Split;

// What chance decides first about a number, with photographs; below 0.03 it is a cutting.
double first_draw(std::uint64_t index) {
  return world::Random(world::scene_seed(Split::train, index) ^ (std::uint64_t{1} << 61)).uniform();
}
std::vector<std::uint64_t> indices_between(double low, double high, std::size_t count) {
  std::vector<std::uint64_t> found;
  for (std::uint64_t i = 0; found.size() < count; ++i) {
    if (low <= first_draw(i) && first_draw(i) < high) found.push_back(i);
  }
  return found;
}

// Each pixel says where it stands, and in which picture.
RgbImage map_of(Index H, Index W, int number) {
  RgbImage image({H, W, 3});
  for (Index y = 0; y < H; ++y) {
    for (Index x = 0; x < W; ++x) {
      image.view()(y, x, 0) = static_cast<std::uint8_t>(y);
      image.view()(y, x, 1) = static_cast<std::uint8_t>(x);
      image.view()(y, x, 2) = static_cast<std::uint8_t>(number);
    }
  }
  return image;
}

class SceneSourceWithPhotos : public ::testing::Test {
 protected:
  SceneSourceWithPhotos() {
    write_image(folder_ / "b.png", map_of(100, 60, 0).view());
    write_image(folder_ / "a.bmp", map_of(40, 200, 1).view());
    write_image(folder_ / "c.png", map_of(1, 1, 2).view());
  }
  SceneSource source() const { return {Split::train, 0.4, folder_.path()}; }

  TemporaryFolder folder_;
};

bool is_same(const DrawnScene& a, const DrawnScene& b) {
  world::Random one = a.random, other = b.random;
  return same(a.picture, b.picture) && a.truth.things.size() == b.truth.things.size() &&
         a.truth.writing.has_value() == b.truth.writing.has_value() &&
         one.uniform() == other.uniform();
}

// ---- scenes ----------------------------------------------------------------------------------------

TEST(SceneSource, WithoutPhotosHasTheWorldsOwnScenes) {
  for (const Split split : {Split::train, Split::validation}) {
    const SceneSource source(split, 0.4);
    for (const std::uint64_t index : {0u, 1u, 7u, 1u << 24}) {
      const DrawnScene drawn = source.at(index);
      const world::Scene scene = world::random_scene(split, index, 0.4);
      const world::Truth truth = world::truth_of(scene);
      EXPECT_FALSE(drawn.is_photo);
      EXPECT_TRUE(same(drawn.picture, world::render(scene))) << index;
      EXPECT_EQ(drawn.scene.objects.size(), scene.objects.size());
      ASSERT_EQ(drawn.truth.things.size(), truth.things.size());
      for (std::size_t i = 0; i < truth.things.size(); ++i) {
        EXPECT_EQ(drawn.truth.things[i].box, truth.things[i].box);
      }
      world::Random random(world::scene_seed(split, index) ^ (std::uint64_t{1} << 61));
      EXPECT_EQ(world::Random(drawn.random).uniform(), random.uniform());
    }
  }
}

TEST(SceneSource, HasSoManyTextsAsItIsTold) {
  const auto texts = [](double share) {
    const SceneSource source(Split::train, share);
    int count = 0;
    for (std::uint64_t i = 0; i < 400; ++i) {
      count += source.without_picture(i).truth.writing.has_value();
    }
    return count;
  };
  EXPECT_EQ(texts(0), 0);
  EXPECT_LT(texts(0.1), texts(0.4));
}

TEST_F(SceneSourceWithPhotos, HasTheSamePictureUnderTheSameNumber) {
  const SceneSource one = source(), other = source();
  const auto photos = indices_between(0, 0.03, 3), scenes = indices_between(0.03, 1, 3);
  for (std::size_t i = 3; i-- > 0;) {  // whatever was asked before
    EXPECT_TRUE(is_same(one.at(photos[i]), other.at(photos[i])));
    EXPECT_TRUE(is_same(one.at(scenes[i]), other.at(scenes[i])));
    EXPECT_TRUE(is_same(one.at(photos[2 - i]), other.at(photos[2 - i])));
  }
}

TEST_F(SceneSourceWithPhotos, HasTheSamePictureInTwoSteps) {
  const SceneSource all = source();
  for (const std::uint64_t index : {indices_between(0, 0.03, 1)[0], std::uint64_t{0}}) {
    DrawnScene drawn = all.without_picture(index);
    EXPECT_EQ(drawn.picture.view().count(), 0);
    all.draw(drawn);
    EXPECT_TRUE(is_same(drawn, all.at(index)));
  }
}

// ---- photographs -----------------------------------------------------------------------------------

TEST_F(SceneSourceWithPhotos, HasThreeCuttingsInAHundred) {
  const SceneSource all = source();
  int photos = 0;
  for (std::uint64_t i = 0; i < 4000; ++i) photos += all.without_picture(i).is_photo;
  EXPECT_LT(std::abs(photos - 120), 4 * std::sqrt(4000 * 0.03 * 0.97));
  for (const std::uint64_t i : indices_between(0.029, 0.03, 3)) EXPECT_TRUE(all.at(i).is_photo);
  for (const std::uint64_t i : indices_between(0.03, 0.031, 3)) EXPECT_FALSE(all.at(i).is_photo);
}

TEST_F(SceneSourceWithPhotos, ShowsNothingThatCouldBeAskedFor) {
  const SceneSource all = source();
  for (const std::uint64_t i : indices_between(0, 0.03, 5)) {
    const DrawnScene drawn = all.at(i);
    EXPECT_TRUE(drawn.scene.objects.empty() && drawn.truth.things.empty());
    EXPECT_FALSE(drawn.scene.writing || drawn.truth.writing);
  }
  const std::uint64_t scene = indices_between(0.03, 1, 1)[0];
  EXPECT_TRUE(
      same(all.at(scene).picture, world::render(world::random_scene(Split::train, scene, 0.4))));
}

// From three tenths of a side to all of it, from anywhere; each picture has its turn, in the order of names.
TEST_F(SceneSourceWithPhotos, CutsAnyPartOfAnyPhoto) {
  const SceneSource all = source();
  std::set<int> numbers;
  std::set<Index> heights, tops;
  for (const std::uint64_t i : indices_between(0, 0.03, 250)) {
    world::Random random(world::scene_seed(Split::train, i) ^ (std::uint64_t{1} << 61));
    EXPECT_TRUE(random.chance(0.03));
    const int number = std::array{1, 0, 2}[static_cast<std::size_t>(random.below(3))];
    const Index whole_h = std::array{100, 40, 1}[static_cast<std::size_t>(number)];
    const Index whole_w = std::array{60, 200, 1}[static_cast<std::size_t>(number)];
    const auto part = [&](Index side) {
      return std::max(Index{1},
                      static_cast<Index>(static_cast<double>(side) * random.between(0.3, 1)));
    };
    const Index H = part(whole_h), W = part(whole_w);
    const Index y0 = random.below(static_cast<int>(whole_h - H + 1));
    const Index x0 = random.below(static_cast<int>(whole_w - W + 1));

    DrawnScene drawn = all.at(i);
    const auto x = std::as_const(drawn.picture).view();
    ASSERT_EQ(x.shape(), (std::array<Index, 3>{H, W, 3}));
    for (Index y = 0; y < H; ++y) {
      for (Index q = 0; q < W; ++q) {
        ASSERT_TRUE(x(y, q, 0) == y0 + y && x(y, q, 1) == x0 + q && x(y, q, 2) == number) << i;
      }
    }
    EXPECT_EQ(drawn.random.uniform(), random.uniform());
    numbers.insert(number);
    heights.insert(H);
    tops.insert(y0);
  }
  EXPECT_EQ(numbers.size(), 3u);
  EXPECT_GT(heights.size(), 50u);
  EXPECT_GT(tops.size(), 20u);
}

// Files are taken by name, not as the disk lists them.
TEST_F(SceneSourceWithPhotos, DoesNotDependOnTheOrderOfWriting) {
  const TemporaryFolder backwards;
  write_image(backwards / "c.png", map_of(1, 1, 2).view());
  write_image(backwards / "a.bmp", map_of(40, 200, 1).view());
  write_image(backwards / "b.png", map_of(100, 60, 0).view());
  const SceneSource one = source(), other(Split::train, 0.4, backwards.path());
  for (const std::uint64_t i : indices_between(0, 0.03, 20)) {
    EXPECT_TRUE(same(one.at(i).picture, other.at(i).picture)) << i;
  }
}

TEST(SceneSource, RefusesAFolderWithoutPictures) {
  const TemporaryFolder folder;
  const auto refused = [&]<class Error>(const std::filesystem::path& path, const char* word) {
    const std::string text = error_text<Error>([&] { SceneSource(Split::train, 0.4, path); });
    EXPECT_TRUE(holds(text, path.string(), word));
    EXPECT_EQ(text.find('\n'), text.npos) << text;
  };
  refused.operator()<NotFoundError>(folder / "nowhere", "no such folder");
  refused.operator()<ImageError>(folder.path(), "no pictures");
  write_text(folder / "note.txt", "not a picture");
  refused.operator()<NotFoundError>(folder / "note.txt", "no such folder");
  write_image(folder / "a.png", map_of(3, 3, 0).view());
  refused.operator()<ImageError>(folder.path(), "note.txt");
}

// ---- masks -----------------------------------------------------------------------------------------

world::Object square_at(double x, double y, double radius) {
  return {world::Shape::square, world::Color::red, x, y, radius, 0, 0.5, {1, 0, 0}, 0};
}

// The box fills the mask; a square's mask is all of it, but for the edge that is smoothed.
TEST(SmallMask, IsCutOutByItsBox) {
  world::Scene scene;
  scene.objects = {square_at(60, 60, 30), square_at(160, 120, 25)};
  scene.objects[1].shape = world::Shape::triangle;
  const world::Truth truth = world::truth_of(scene);
  const auto square = small_mask(scene, truth, 0), triangle = small_mask(scene, truth, 1);
  ASSERT_EQ(square.view().shape(), (std::array<Index, 2>{64, 64}));
  for (Index y = 3; y < 61; ++y) {
    for (Index x = 3; x < 61; ++x) ASSERT_EQ(square.view()(y, x), 255) << y << " " << x;
  }
  // Its point is at the top, in the middle; its base takes all of the width.
  EXPECT_EQ(triangle.view()(3, 3), 0);
  EXPECT_EQ(triangle.view()(3, 60), 0);
  EXPECT_EQ(triangle.view()(32, 32), 255);
  EXPECT_GT(triangle.view()(62, 4), 127);
  EXPECT_GT(triangle.view()(62, 59), 127);
}

// Rounded to pixels: where a picture is not square, its own in each direction.
TEST(SmallMask, IsOfThePictureAsItIsDrawn) {
  world::Scene scene;
  scene.objects = {square_at(100, 90, 30)};
  scene.look.width = 448;
  scene.look.height = 150;
  const world::Truth truth = world::truth_of(scene);
  const auto mask = small_mask(scene, truth, 0);
  for (Index y = 5; y < 59; ++y) {
    for (Index x = 5; x < 59; ++x) ASSERT_EQ(mask.view()(y, x), 255) << y << " " << x;
  }
}

// Those that the default model was trained on: tools/tiny/scene_examples.cpp wrote them before it shared this code.
TEST(SmallMask, OfTheWorldIsTheSameBytes) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (std::uint64_t i = 0; i < 20; ++i) {
    const world::Scene scene = world::random_scene(Split::train, i);
    const world::Truth truth = world::truth_of(scene);
    for (std::size_t thing = 0; thing < truth.things.size(); ++thing) {
      const auto mask = small_mask(scene, truth, thing);
      for (Index k = 0; k < mask.view().count(); ++k) {
        hash = (hash ^ mask.view().data()[k]) * 0x100000001b3;
      }
    }
  }
  EXPECT_EQ(hash, 0xf73e0ea79dfadcb4u) << std::hex << "0x" << hash;
}

}  // namespace
}  // namespace paligemma::tiny
