// Pixels as NumPy writes them.
#include "processing/pixel_file.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/errors.h"
#include "tests/support/error_text.h"
#include "tests/support/npz_writer.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;

using Shape = std::vector<Index>;

class PixelFile : public ::testing::Test {
 protected:
  Buffer<float, 3> read(const Shape& shape, const std::vector<float>& numbers) {
    write_text(path_, npy_of(shape, numbers));
    return read_pixels(path_, 2);
  }
  std::string refusal(const Shape& shape, const std::vector<float>& numbers) {
    return error_text<ImageError>([&] { read(shape, numbers); });
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "pixels.npy";
};

std::vector<float> numbers_of(const Buffer<float, 3>& pixels) {
  return {pixels.view().data(), pixels.view().data() + pixels.view().count()};
}

TEST_F(PixelFile, HasChannelsFirstOrLast) {
  const std::vector<float> stored{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  EXPECT_EQ(numbers_of(read({2, 2, 3}, stored)), stored);
  EXPECT_EQ(numbers_of(read({3, 2, 2}, stored)),
            (std::vector<float>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
}

TEST_F(PixelFile, OfAnotherSizeIsRefused) {
  for (const Shape& shape : {Shape{3, 4, 1}, {12}, {1, 3, 2, 2}, {2, 3, 2}, {6, 2}}) {
    EXPECT_TRUE(holds(refusal(shape, std::vector<float>(12)), "[3, 2, 2] or [2, 2, 3]"));
  }
  EXPECT_TRUE(holds(refusal({3, 4, 4}, std::vector<float>(48)), "[3, 4, 4]"));
}

TEST_F(PixelFile, HoldsFiniteNumbers) {
  for (const float bad : {std::nanf(""), -INFINITY}) {
    std::vector<float> numbers(12);
    numbers[7] = bad;
    EXPECT_TRUE(holds(refusal({3, 2, 2}, numbers), "NaN or an infinity"));
  }
}

TEST_F(PixelFile, ThatIsNoneIsAnErrorOfAPicture) {
  write_text(path_, "not an array");
  EXPECT_TRUE(holds(error_text<ImageError>([&] { read_pixels(path_, 2); }), path_, "not a .npy"));
  EXPECT_TRUE(holds(error_text<ImageError>([&] { read_pixels(folder_ / "none", 2); }), "none"));
}

TEST(ShownBy, IsNormalizePixelsBackwards) {
  RgbImage image({16, 16, 3});
  for (Index i = 0; i < image.view().count(); ++i) {
    image.view().data()[i] = static_cast<std::uint8_t>(i);
  }
  const PixelScale scale{.rescale = 0.01, .mean = {0.5f, 0.25f, 1}, .std = {0.5f, 2, 0.125f}};
  for (const PixelScale& how : {PixelScale(), scale}) {
    Buffer<float, 3> pixels({16, 16, 3});
    normalize_pixels(image.view(), how, pixels.view());
    const RgbImage back = shown_by(pixels.view(), how);
    for (Index i = 0; i < image.view().count(); ++i) {
      ASSERT_EQ(back.view().data()[i], image.view().data()[i]) << i;
    }
  }
  Buffer<float, 3> far({1, 1, 3});
  far.view()(0, 0, 0) = -1e30f, far.view()(0, 0, 1) = 1e30f;
  const RgbImage clipped = shown_by(far.view(), {});
  EXPECT_EQ(clipped.view()(0, 0, 0), 0);
  EXPECT_EQ(clipped.view()(0, 0, 1), 255);
}

}  // namespace
}  // namespace paligemma
