#include "processing/resize.h"

#include <cmath>
#include <string>

#include "processing/image_file.h"
#include "tests/support/compare.h"
#include "tests/support/source_dir.h"

namespace paligemma {
namespace {

using namespace test;

constexpr auto kBilinear = ResampleFilter::bilinear;
constexpr auto kBicubic = ResampleFilter::bicubic;

RgbImage resized(View<const std::uint8_t, 3> x, Index H, Index W, ResampleFilter filter) {
  RgbImage y({H, W, 3});
  resize(x, filter, y.view());
  return y;
}

// A picture whose three channels are all `rows`.
RgbImage grey(std::initializer_list<std::initializer_list<int>> rows) {
  RgbImage image({static_cast<Index>(rows.size()), static_cast<Index>(rows.begin()->size()), 3});
  std::uint8_t* out = image.view().data();
  for (const auto& row : rows) {
    for (int value : row) {
      for (int c = 0; c < 3; ++c) *out++ = static_cast<std::uint8_t>(value);
    }
  }
  return image;
}

// (37 x + 59 y + 91 c) mod 256, as in tests/data/make_data.py.
RgbImage pattern(Index H, Index W) {
  RgbImage image({H, W, 3});
  for (Index y = 0; y < H; ++y) {
    for (Index x = 0; x < W; ++x) {
      for (Index c = 0; c < 3; ++c) {
        image.view()(y, x, c) = static_cast<std::uint8_t>(37 * x + 59 * y + 91 * c);
      }
    }
  }
  return image;
}

// Bytes are compared as the numbers they are.
::testing::AssertionResult same(View<const std::uint8_t, 3> actual,
                                View<const std::uint8_t, 3> expected) {
  if (actual.shape() != expected.shape()) return ::testing::AssertionFailure() << "shapes differ";
  for (Index y = 0; y < actual.size(0); ++y) {
    for (Index x = 0; x < actual.size(1); ++x) {
      for (Index c = 0; c < 3; ++c) {
        if (actual(y, x, c) != expected(y, x, c)) {
          return ::testing::AssertionFailure()
                 << "row " << y << ", column " << x << ", channel " << c << ": "
                 << int{actual(y, x, c)} << ", expected " << int{expected(y, x, c)};
        }
      }
    }
  }
  return ::testing::AssertionSuccess();
}

// docs/processing/resize.md, "By hand".
TEST(Resize, WorkedExample) {
  const auto x = grey({{0, 70, 140, 210}, {0, 71, 141, 210}});
  const auto squeezed = resized(x.view(), 2, 2, kBilinear);
  EXPECT_TRUE(same(squeezed.view(), grey({{50, 160}, {51, 161}}).view()));
  const auto y = resized(x.view(), 1, 2, kBilinear);
  EXPECT_TRUE(same(y.view(), grey({{51, 161}}).view()));
}

// Pillow, Tests/test_image_resample.py, test_reduce_bicubic: the squares at top left and bottom
// right are 0xe1, the other two 0x1e.
TEST(Resize, ReducesAsPillowsOwnTest) {
  RgbImage x({12, 12, 3});
  for (Index r = 0; r < 12; ++r) {
    for (Index q = 0; q < 12; ++q) {
      for (Index c = 0; c < 3; ++c) x.view()(r, q, c) = (r < 6) == (q < 6) ? 0xe1 : 0x1e;
    }
  }
  const auto expected = grey({{0xe1, 0xe3, 0xd4, 0x2b, 0x1c, 0x1e},
                              {0xe3, 0xe5, 0xd6, 0x29, 0x1a, 0x1c},
                              {0xd4, 0xd6, 0xc9, 0x36, 0x29, 0x2b},
                              {0x2b, 0x29, 0x36, 0xc9, 0xd6, 0xd4},
                              {0x1c, 0x1a, 0x29, 0xd6, 0xe5, 0xe3},
                              {0x1e, 0x1c, 0x2b, 0xd4, 0xe3, 0xe1}});
  EXPECT_TRUE(same(resized(x.view(), 6, 6, kBicubic).view(), expected.view()));
}

// The same file, test_enlarge_bicubic.
TEST(Resize, EnlargesAsPillowsOwnTest) {
  const auto x = grey({{0xe1, 0xe1, 0x1e, 0x1e},
                       {0xe1, 0xe1, 0x1e, 0x1e},
                       {0x1e, 0x1e, 0xe1, 0xe1},
                       {0x1e, 0x1e, 0xe1, 0xe1}});
  const auto expected = grey({{0xe1, 0xe5, 0xee, 0xb9, 0x46, 0x11, 0x1a, 0x1e},
                              {0xe5, 0xe9, 0xf3, 0xbc, 0x43, 0x0c, 0x16, 0x1a},
                              {0xee, 0xf3, 0xfd, 0xc1, 0x3e, 0x02, 0x0c, 0x11},
                              {0xb9, 0xbc, 0xc1, 0xa2, 0x5d, 0x3e, 0x43, 0x46},
                              {0x46, 0x43, 0x3e, 0x5d, 0xa2, 0xc1, 0xbc, 0xb9},
                              {0x11, 0x0c, 0x02, 0x3e, 0xc1, 0xfd, 0xf3, 0xee},
                              {0x1a, 0x16, 0x0c, 0x43, 0xbc, 0xf3, 0xe9, 0xe5},
                              {0x1e, 0x1a, 0x11, 0x46, 0xb9, 0xee, 0xe5, 0xe1}});
  EXPECT_TRUE(same(resized(x.view(), 8, 8, kBicubic).view(), expected.view()));
}

// Neither side is a multiple of the other.
TEST(Resize, ResizesFiveBySevenToThreeByFour) {
  const auto y = resized(pattern(5, 7).view(), 3, 4, kBicubic);
  const int expected[3][4] = {{36, 100, 179, 173}, {140, 193, 102, 82}, {167, 105, 91, 163}};
  for (Index r = 0; r < 3; ++r) {
    for (Index q = 0; q < 4; ++q) EXPECT_EQ(y.view()(r, q, 0), expected[r][q]) << r << ", " << q;
  }
}

// What Pillow 13.0.0 makes of photographs, byte for byte. The upright one is resized along its
// columns first.
TEST(Resize, MatchesPillowOnPhotographs) {
  const std::string data = source_dir() + "/tests/data/";
  for (const std::string name : {"coffee", "chelsea", "rocket", "rocket_upright"}) {
    const auto x = read_image(data + "photos/" + name + ".png");
    const auto bilinear = read_image(data + "resized/" + name + "_bilinear.png");
    const auto bicubic = read_image(data + "resized/" + name + "_bicubic.png");
    EXPECT_TRUE(same(resized(x.view(), 224, 224, kBilinear).view(), bilinear.view())) << name;
    EXPECT_TRUE(same(resized(x.view(), 224, 224, kBicubic).view(), bicubic.view())) << name;
  }
}

// What Pillow 13.0.0 makes of the pattern, as FNV-1a of the bytes; tests/data/make_data.py prints
// it. 274 rows to 224 beside 249 columns to 224 are exactly twice as many pixels, so rows are still
// first; 275 are more.
TEST(Resize, MatchesPillowAtSizesThatBreakResizers) {
  struct Case {
    Index H, W, H2, W2;
    std::uint32_t bilinear, bicubic;
  };
  constexpr Case kCases[]{
      {1, 1, 7, 7, 0xdd8e721e, 0xdd8e721e},         {7, 7, 1, 1, 0x4e7981f8, 0xbb01c143},
      {7, 5, 5, 7, 0x4333b043, 0x647a2aab},         {255, 257, 7, 7, 0x309bcc65, 0xc7aeac8e},
      {257, 255, 7, 1, 0xb33c4964, 0x8f242d21},     {7, 255, 224, 224, 0x529c4e79, 0xe31ab489},
      {255, 257, 256, 256, 0xef7b51e4, 0x7d992b1a}, {257, 255, 224, 257, 0x586907de, 0x831b1c14},
      {255, 7, 224, 7, 0xf5ac1e6a, 0xace5490d},     {9, 80, 64, 64, 0xf1507617, 0x573b7826},
      {274, 249, 224, 224, 0xbbd3362c, 0x7f7016d2}, {275, 249, 224, 224, 0xdfcc0f8c, 0x6d33f4e3},
      {300, 60, 32, 48, 0x2ee380fa, 0x15b52d2e},    {33, 21, 448, 448, 0xaf9b24d8, 0xce5050e5},
  };
  const auto hash_of = [](const RgbImage& image) {
    std::uint32_t hash = 2166136261u;
    for (Index i = 0; i < image.view().count(); ++i) {
      hash = (hash ^ image.view().data()[i]) * 16777619u;
    }
    return hash;
  };
  for (const auto& [H, W, H2, W2, bilinear, bicubic] : kCases) {
    const auto x = pattern(H, W);
    EXPECT_EQ(hash_of(resized(x.view(), H2, W2, kBilinear)), bilinear) << H << " x " << W;
    EXPECT_EQ(hash_of(resized(x.view(), H2, W2, kBicubic)), bicubic) << H << " x " << W;
  }
}

// The definition again, in double: the kernels written out, no window, no fixed point, no rounding.
// It shares no code with what it judges.
double kernel(double x, ResampleFilter filter) {
  x = std::abs(x);
  if (filter == kBilinear) return x < 1 ? 1 - x : 0;
  if (x < 1) return 1.5 * std::pow(x, 3) - 2.5 * std::pow(x, 2) + 1;
  if (x < 2) return -0.5 * std::pow(x, 3) + 2.5 * std::pow(x, 2) - 4 * x + 2;
  return 0;
}

double oracle(View<const std::uint8_t, 3> x, Index W2, Index r, Index q, Index c,
              ResampleFilter filter) {
  const double scale = static_cast<double>(x.size(1)) / static_cast<double>(W2);
  const double at = (static_cast<double>(q) + 0.5) * scale - 0.5;
  double sum = 0, weights = 0;
  for (Index i = 0; i < x.size(1); ++i) {
    const double weight = kernel((static_cast<double>(i) - at) / std::max(scale, 1.0), filter);
    sum += weight * x(r, i, c);
    weights += weight;
  }
  return std::clamp(sum / weights, 0.0, 255.0);
}

// Along one side there is one rounding to a byte, which is half a unit, and one of each weight to
// fixed point, half of 2^-22 each, of at most W weights.
TEST(Resize, IsTheDefinitionRoundedToBytes) {
  for (const auto filter : {kBilinear, kBicubic}) {
    for (Index W : {1, 7, 255, 257}) {
      const auto x = pattern(2, W);
      for (Index W2 : {1, 7, 224, 255, 257}) {
        const auto y = resized(x.view(), 2, W2, filter);
        const double rounding = 0.5 + static_cast<double>(W) * 255 * 0x1p-23;
        for (Index q = 0; q < W2; ++q) {
          EXPECT_NEAR(y.view()(1, q, 2), oracle(x.view(), W2, 1, q, 2, filter), rounding)
              << W << " to " << W2 << ", column " << q;
        }
      }
    }
  }
}

TEST(Resize, TurnsWithThePicture) {
  const auto x = pattern(3, 40);
  RgbImage turned({40, 3, 3});
  for (Index r = 0; r < 3; ++r) {
    for (Index q = 0; q < 40; ++q) {
      for (Index c = 0; c < 3; ++c) turned.view()(q, r, c) = x.view()(r, q, c);
    }
  }
  const auto wide = resized(x.view(), 3, 17, kBicubic);
  const auto high = resized(turned.view(), 17, 3, kBicubic);
  for (Index r = 0; r < 3; ++r) {
    for (Index q = 0; q < 17; ++q) {
      for (Index c = 0; c < 3; ++c) EXPECT_EQ(wide.view()(r, q, c), high.view()(q, r, c));
    }
  }
}

TEST(Resize, RowsComeFirst) {
  const auto x = pattern(100, 100);
  const auto rows = resized(x.view(), 100, 33, kBicubic);
  const auto then_columns = resized(rows.view(), 33, 33, kBicubic);
  EXPECT_TRUE(same(resized(x.view(), 33, 33, kBicubic).view(), then_columns.view()));
}

TEST(Resize, ColumnsComeFirstIfMuchHeightIsLost) {
  const auto x = pattern(168, 100);  // loses 135 rows and 67 columns
  const auto columns = resized(x.view(), 33, 100, kBicubic);
  const auto then_rows = resized(columns.view(), 33, 33, kBicubic);
  const auto y = resized(x.view(), 33, 33, kBicubic);
  EXPECT_TRUE(same(y.view(), then_rows.view()));

  const auto rows = resized(x.view(), 168, 33, kBicubic);
  const auto then_columns = resized(rows.view(), 33, 33, kBicubic);
  EXPECT_FALSE(same(y.view(), then_columns.view())) << "the order shows";
}

TEST(Resize, CountsEveryInputPixel) {
  for (const auto filter : {kBilinear, kBicubic}) {
    for (Index lit = 0; lit < 16; ++lit) {
      RgbImage x({1, 16, 3});
      x.view()(0, lit, 0) = 255;
      const auto y = resized(x.view(), 1, 2, filter);
      EXPECT_NE(int{y.view()(0, 0, 0)} + y.view()(0, 1, 0), 0) << "column " << lit;
    }
  }
}

TEST(Resize, KeepsAPlainPicture) {
  RgbImage x({30, 50, 3});
  for (Index i = 0; i < x.view().count(); ++i) {
    x.view().data()[i] = static_cast<std::uint8_t>(100 + 77 * (i % 3));
  }
  const auto y = resized(x.view(), 224, 224, kBicubic);
  for (Index i = 0; i < y.view().count(); ++i) {
    ASSERT_EQ(y.view().data()[i], 100 + 77 * (i % 3)) << "at " << i;
  }
}

TEST(Resize, ClampsWhatACubicOvershoots) {
  const auto x = grey({{0, 0, 255, 255}});
  const auto y = resized(x.view(), 1, 8, kBicubic);
  EXPECT_EQ(y.view()(0, 2, 0), 0) << "-17.5 before clamping";
  EXPECT_EQ(y.view()(0, 5, 0), 255) << "272.5 before clamping";
}

TEST(Resize, CopiesAPictureOfTheRightSize) {
  const auto x = pattern(9, 8);
  EXPECT_TRUE(same(resized(x.view(), 9, 8, kBicubic).view(), x.view()));
}

TEST(Resize, RejectsWrongShapes) {
  const auto x = pattern(4, 4);
  RgbImage y({2, 2, 3}), empty({0, 2, 3}), four_channels({2, 2, 4});
  EXPECT_THROW(resize(x.view(), kBicubic, empty.view()), ContractError);
  EXPECT_THROW(resize(empty.view(), kBicubic, y.view()), ContractError);
  EXPECT_THROW(resize(x.view(), kBicubic, four_channels.view()), ContractError);
  EXPECT_THROW(resize(four_channels.view(), kBicubic, y.view()), ContractError);
}

TEST(Resize, RejectsAWindowOfALargerPicture) {
  const auto x = pattern(4, 4);
  RgbImage y({2, 2, 3});
  const View<const std::uint8_t, 3> left_half(x.view().data(), {4, 2, 3}, x.view().stride());
  EXPECT_THROW(resize(left_half, kBicubic, y.view()), ContractError);
}

// For whoever resizes something else than bytes.
TEST(Resize, WindowsWeighEveryInputPixelAndSumToOne) {
  for (auto filter : {kBilinear, kBicubic}) {
    for (const auto& [in, out] :
         {std::pair<Index, Index>{4, 2}, {64, 7}, {7, 64}, {1, 5}, {5, 1}}) {
      std::vector<double> use(static_cast<std::size_t>(in));
      const auto of_pixel = windows(in, out, filter);
      ASSERT_EQ(std::ssize(of_pixel), out);
      for (const Window& window : of_pixel) {
        double sum = 0;
        for (std::size_t k = 0; k < window.weights.size(); ++k) {
          sum += window.weights[k];
          use.at(static_cast<std::size_t>(window.first) + k) += window.weights[k];
        }
        EXPECT_NEAR(sum, 1, float_operations(1).relative);
      }
      for (double weight : use) EXPECT_GT(weight, 0);
    }
  }
  EXPECT_NEAR(windows(4, 2, kBilinear)[0].weights[0], 3 / 7.0, float_operations(1).relative);
}

// Keras's: between the two nearest pixels, at the edge the last; however much the picture shrinks.
TEST(Sample, WorkedExample) {
  const RgbImage x = grey({{0, 100, 40, 200}});
  Buffer<float, 3> larger({1, 8, 3}), smaller({2, 2, 3});
  sample(x.view(), larger.view());
  const float expected[] = {0, 25, 75, 85, 55, 80, 160, 200};
  for (Index q = 0; q < 8; ++q) EXPECT_FLOAT_EQ(larger.view()(0, q, 1), expected[q]) << q;
  sample(x.view(), smaller.view());
  EXPECT_FLOAT_EQ(smaller.view()(0, 0, 0), 50);
  EXPECT_FLOAT_EQ(smaller.view()(1, 1, 2), 120);
}

TEST(Sample, GoesDownAsItGoesAcross) {
  const RgbImage x = grey({{0, 8}, {40, 80}, {200, 96}});
  Buffer<float, 3> y({6, 2, 3});
  sample(x.view(), y.view());
  const float expected[] = {0, 10, 30, 80, 160, 200};
  for (Index r = 0; r < 6; ++r) EXPECT_FLOAT_EQ(y.view()(r, 0, 0), expected[r]) << r;
}

TEST(Sample, SkipsWhatLiesBetween) {
  const RgbImage x = grey({{9, 9, 0, 90, 9, 9}});
  Buffer<float, 3> y({1, 1, 3});
  sample(x.view(), y.view());
  EXPECT_FLOAT_EQ(y.view()(0, 0, 0), 45);
}

TEST(Sample, RefusesNothing) {
  const RgbImage x({0, 4, 3});
  Buffer<float, 3> y({1, 1, 3});
  EXPECT_THROW(sample(x.view(), y.view()), ContractError);
}

TEST(MiddleSquare, IsUpAndLeftByHalfAPixel) {
  const RgbImage wide = pattern(101, 150), high = pattern(4, 2);
  EXPECT_EQ(middle_square(wide.view()).shape(), (std::array<Index, 3>{101, 101, 3}));
  EXPECT_EQ(&middle_square(wide.view())(0, 0, 0), &wide.view()(0, 24, 0));
  EXPECT_EQ(&middle_square(wide.view())(1, 2, 0), &wide.view()(1, 26, 0));
  EXPECT_EQ(&middle_square(high.view())(0, 0, 0), &high.view()(1, 0, 0));
}

}  // namespace
}  // namespace paligemma
