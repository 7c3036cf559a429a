#include "processing/normalize_pixels.h"

#include "tensor/buffer.h"
#include "tests/support/compare.h"

namespace paligemma {
namespace {

using namespace test;

Buffer<float, 3> normalized(View<const std::uint8_t, 3> x, const PixelScale& scale = {}) {
  Buffer<float, 3> y(x.shape());
  normalize_pixels(x, scale, y.view());
  return y;
}

// Every byte once, in each channel.
Buffer<std::uint8_t, 3> all_bytes() {
  Buffer<std::uint8_t, 3> x({16, 16, 3});
  for (Index i = 0; i < x.view().count(); ++i) {
    x.view().data()[i] = static_cast<std::uint8_t>(i / 3);
  }
  return x;
}

// docs/processing/normalize_pixels.md, "By hand".
TEST(NormalizePixels, WorkedExample) {
  Buffer<std::uint8_t, 3> x({1, 1, 3});
  x.view()(0, 0, 0) = 0;
  x.view()(0, 0, 1) = 51;
  x.view()(0, 0, 2) = 255;
  Buffer<float, 3> expected({1, 1, 3});
  expected.view()(0, 0, 0) = -1.0f;
  expected.view()(0, 0, 1) = -0.6f;
  expected.view()(0, 0, 2) = 1.0f;
  EXPECT_TRUE(close(normalized(x.view()).view(), expected.view(), kExact));
}

// The definition again, in double. 1/255 as preprocessor_config.json gives it is not exactly 1/255,
// but nearer than double arithmetic shows. The quotient by 1/2 is exact; what is rounded is the
// product, to float near 1, and the difference.
TEST(NormalizePixels, MatchesTheDefinition) {
  const auto x = all_bytes();
  Buffer<float, 3> expected(x.view().shape());
  for (Index i = 0; i < x.view().count(); ++i) {
    expected.view().data()[i] = static_cast<float>((x.view().data()[i] / 255.0 - 0.5) / 0.5);
  }
  const Tolerance rounds_twice{float_operations(2).relative, 2 * kUnitRoundoff};
  EXPECT_TRUE(close(normalized(x.view()).view(), expected.view(), rounds_twice));
}

// Hugging Face's SiglipImageProcessorPil (transformers 5.23.0) gives these bits. A product in float
// gives others for 48, and (v - 127.5) / 127.5, as the processor of the other backend has it, for 64
// and 128. For every byte the bits are those of 2 v / 255 - 1 in float.
TEST(NormalizePixels, HasTheBitsOfTheOriginal) {
  const auto y = normalized(all_bytes().view());
  EXPECT_EQ(y.view().data()[3 * 48], -0x1.3f3f40p-1f);
  EXPECT_EQ(y.view().data()[3 * 64], -0x1.fdfdfcp-2f);
  EXPECT_EQ(y.view().data()[3 * 128], 0x1.010200p-8f);
  for (Index v = 0; v < 256; ++v) {
    EXPECT_EQ(y.view().data()[3 * v], 2.0f * static_cast<float>(v) / 255.0f - 1.0f) << "byte " << v;
  }
}

// Mid-grey is not among the bytes: 127 and 128 lie the same way from zero.
TEST(NormalizePixels, IsSymmetricAboutZero) {
  const auto y = normalized(all_bytes().view());
  for (Index v = 0; v < 256; ++v) {
    const float here = y.view().data()[3 * v], there = y.view().data()[3 * (255 - v)];
    EXPECT_NEAR(here, -there, 2 * kUnitRoundoff) << "byte " << v;
    EXPECT_GE(here, -1.0f);
    EXPECT_LE(here, 1.0f);
  }
}

TEST(NormalizePixels, ScalesEachChannelByItsOwn) {
  const PixelScale scale{1.0 / 256, {0.25f, 0.5f, 0.75f}, {0.5f, 0.25f, 0.125f}};
  Buffer<std::uint8_t, 3> x({1, 2, 3});
  for (Index i = 0; i < 6; ++i) x.view().data()[i] = 128;
  Buffer<float, 3> expected({1, 2, 3});
  for (Index q = 0; q < 2; ++q) {
    expected.view()(0, q, 0) = 0.5f;
    expected.view()(0, q, 1) = 0.0f;
    expected.view()(0, q, 2) = -2.0f;
  }
  EXPECT_TRUE(close(normalized(x.view(), scale).view(), expected.view(), kExact));
}

// Height and width are not taken for each other, and channels stay last.
TEST(NormalizePixels, KeepsEveryPixelInItsPlace) {
  const PixelScale plain{1.0, {0, 0, 0}, {1, 1, 1}};
  for (Index H : {1, 7}) {
    for (Index W : {1, 7, 9}) {
      Buffer<std::uint8_t, 3> x({H, W, 3});
      for (Index i = 0; i < x.view().count(); ++i) {
        x.view().data()[i] = static_cast<std::uint8_t>(i);
      }
      const auto y = normalized(x.view(), plain);
      for (Index i = 0; i < x.view().count(); ++i) {
        EXPECT_EQ(y.view().data()[i], static_cast<float>(x.view().data()[i]));
      }
    }
  }
}

TEST(NormalizePixels, ReadsAWindowOfAPicture) {
  const auto x = all_bytes();
  const View<const std::uint8_t, 3> corner(&x.view()(3, 5, 0), {2, 2, 3}, x.view().stride());
  const auto all = normalized(x.view()), part = normalized(corner);
  for (Index r = 0; r < 2; ++r) {
    for (Index q = 0; q < 2; ++q) EXPECT_EQ(part.view()(r, q, 1), all.view()(3 + r, 5 + q, 1));
  }
}

TEST(NormalizePixels, RejectsWrongShapes) {
  Buffer<std::uint8_t, 3> x({2, 2, 3}), rgba({2, 2, 4});
  Buffer<float, 3> too_wide({2, 3, 3}), four_channels({2, 2, 4});
  EXPECT_THROW(normalize_pixels(x.view(), {}, too_wide.view()), ContractError);
  EXPECT_THROW(normalize_pixels(rgba.view(), {}, four_channels.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
