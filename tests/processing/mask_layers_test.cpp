#include "processing/mask_layers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tensor/errors.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/error_text.h"
#include "tests/support/npz_writer.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;

// The definitions, in double. Convolutions look up, a transposed one paints; magnitudes likewise.
struct Exact {
  std::vector<double> sums, magnitudes;
  Index terms = 0;  // of the longest sum
};

// Rows and columns of y are `stride` pixels of x apart; the kernel begins `border` before them.
Exact exact_convolution(View<const float, 3> x, View<const float, 4> w, View<const float, 1> b,
                        int stride, int border) {
  const auto H = static_cast<int>(x.size(0)), W = static_cast<int>(x.size(1));
  const auto k = static_cast<int>(w.size(0));
  Exact exact;
  for (int top = -border; top < H - border; top += stride) {
    for (int left = -border; left < W - border; left += stride) {
      for (int o = 0; o < w.size(3); ++o) {
        double sum = b(o), magnitude = std::abs(b(o));
        for (int r = std::max(0, top); r < std::min(H, top + k); ++r) {
          for (int q = std::max(0, left); q < std::min(W, left + k); ++q) {
            for (int c = 0; c < x.size(2); ++c) {
              const double product = double{x(r, q, c)} * w(r - top, q - left, c, o);
              sum += product;
              magnitude += std::abs(product);
            }
          }
        }
        exact.sums.push_back(sum);
        exact.magnitudes.push_back(magnitude);
      }
    }
  }
  exact.terms = k * k * x.size(2) + 1;
  return exact;
}

Exact exact_transposed(View<const float, 3> x, View<const float, 4> w, View<const float, 1> b) {
  const Index H = x.size(0), W = x.size(1), O = w.size(3);
  Exact exact;
  for (Index i = 0; i < 4 * H * W * O; ++i) {
    exact.sums.push_back(b(i % O));
    exact.magnitudes.push_back(std::abs(b(i % O)));
  }
  for (Index r = 0; r < H; ++r) {
    for (Index q = 0; q < W; ++q) {
      for (Index i = 0; i < 4; ++i) {
        for (Index j = 0; j < 4; ++j) {
          const Index to_r = 2 * r + i - 1, to_q = 2 * q + j - 1;
          if (to_r < 0 || to_r >= 2 * H || to_q < 0 || to_q >= 2 * W) continue;
          for (Index c = 0; c < x.size(2); ++c) {
            for (Index o = 0; o < O; ++o) {
              const double product = double{x(r, q, c)} * w(i, j, c, o);
              exact.sums[(to_r * 2 * W + to_q) * O + o] += product;
              exact.magnitudes[(to_r * 2 * W + to_q) * O + o] += std::abs(product);
            }
          }
        }
      }
    }
  }
  exact.terms = 4 * x.size(2) + 1;
  return exact;
}

// Terms have both signs, so errors are measured against the magnitudes.
void expect_close(View<const float, 3> y, const Exact& exact) {
  ASSERT_EQ(y.count(), std::ssize(exact.sums));
  for (Index i = 0; i < y.count(); ++i) {
    const double allowed = float_sum_of(exact.terms).relative * exact.magnitudes[i];
    ASSERT_NEAR(y.data()[i], exact.sums[i], allowed) << "y " << shape_text(y) << " at " << i;
  }
}

TEST(MaskLayers, ConvolvesAsDefined) {
  unsigned seed = 0;
  for (Index k : {1, 3, 5}) {
    for (const auto& shape : {std::array<Index, 3>{1, 1, 1}, {4, 4, 7}, {3, 5, 2}, {2, 9, 255}}) {
      for (Index O : {1, 7}) {
        const auto x = random<float, 3>(shape, ++seed);
        const auto weight = random<float, 4>({k, k, shape[2], O}, ++seed);
        const auto bias = random<float, 1>({O}, ++seed);
        Buffer<float, 3> y({shape[0], shape[1], O});
        convolve(x.view(), weight.view(), bias.view(), y.view());
        expect_close(y.view(), exact_convolution(x.view(), weight.view(), bias.view(), 1,
                                                 static_cast<int>(k / 2)));
      }
    }
  }
}

TEST(MaskLayers, ConvolvesHalvingAsDefined) {
  unsigned seed = 200;
  for (const auto& shape : {std::array<Index, 3>{2, 2, 1}, {4, 4, 7}, {6, 10, 2}, {4, 2, 255}}) {
    for (Index O : {1, 7}) {
      const auto x = random<float, 3>(shape, ++seed);
      const auto weight = random<float, 4>({4, 4, shape[2], O}, ++seed);
      const auto bias = random<float, 1>({O}, ++seed);
      Buffer<float, 3> y({shape[0] / 2, shape[1] / 2, O});
      convolve_halving(x.view(), weight.view(), bias.view(), y.view());
      expect_close(y.view(), exact_convolution(x.view(), weight.view(), bias.view(), 2, 1));
    }
  }
}

// Enough products to be worth threads, which must not get into each other's way.
TEST(MaskLayers, OfManyProductsAreAsDefined) {
  const auto x = random<float, 3>({16, 16, 33}, 300);
  const auto kernel = random<float, 4>({3, 3, 33, 20}, 301),
             stamp = random<float, 4>({4, 4, 33, 40}, 302);
  const auto bias = random<float, 1>({20}, 303), other_bias = random<float, 1>({40}, 304);
  Buffer<float, 3> y({16, 16, 20}), smaller({8, 8, 40}), larger({32, 32, 40});
  convolve(x.view(), kernel.view(), bias.view(), y.view());
  expect_close(y.view(), exact_convolution(x.view(), kernel.view(), bias.view(), 1, 1));
  convolve_halving(x.view(), stamp.view(), other_bias.view(), smaller.view());
  expect_close(smaller.view(), exact_convolution(x.view(), stamp.view(), other_bias.view(), 2, 1));
  convolve_transposed(x.view(), stamp.view(), other_bias.view(), larger.view());
  expect_close(larger.view(), exact_transposed(x.view(), stamp.view(), other_bias.view()));
}

TEST(MaskLayers, ConvolvesTransposedAsDefined) {
  unsigned seed = 100;
  for (const auto& shape : {std::array<Index, 3>{1, 1, 1}, {4, 4, 7}, {3, 5, 2}, {2, 9, 255}}) {
    for (Index O : {1, 7}) {
      const auto x = random<float, 3>(shape, ++seed);
      const auto weight = random<float, 4>({4, 4, shape[2], O}, ++seed);
      const auto bias = random<float, 1>({O}, ++seed);
      Buffer<float, 3> y({2 * shape[0], 2 * shape[1], O});
      convolve_transposed(x.view(), weight.view(), bias.view(), y.view());
      expect_close(y.view(), exact_transposed(x.view(), weight.view(), bias.view()));
    }
  }
}

TEST(MaskLayers, RejectsShapesThatDoNotMatch) {
  const Buffer<float, 3> x({4, 4, 2});
  const auto try_shapes = [&](auto layer, std::array<Index, 4> w, Index b,
                              std::array<Index, 3> y_shape) {
    Buffer<float, 3> y(y_shape);
    layer(x.view(), Buffer<float, 4>(w).view(), Buffer<float, 1>({b}).view(), y.view());
  };
  EXPECT_NO_THROW(try_shapes(convolve, {3, 3, 2, 5}, 5, {4, 4, 5}));
  EXPECT_THROW(try_shapes(convolve, {3, 3, 1, 5}, 5, {4, 4, 5}), ContractError);
  EXPECT_THROW(try_shapes(convolve, {3, 3, 2, 5}, 4, {4, 4, 5}), ContractError);
  EXPECT_THROW(try_shapes(convolve, {3, 3, 2, 5}, 5, {4, 4, 6}), ContractError);
  EXPECT_THROW(try_shapes(convolve, {3, 3, 2, 5}, 5, {4, 3, 5}), ContractError);
  EXPECT_THROW(try_shapes(convolve, {3, 1, 2, 5}, 5, {4, 4, 5}), ContractError);
  EXPECT_THROW(try_shapes(convolve, {4, 4, 2, 5}, 5, {4, 4, 5}), ContractError);
  EXPECT_NO_THROW(try_shapes(convolve_transposed, {4, 4, 2, 5}, 5, {8, 8, 5}));
  EXPECT_THROW(try_shapes(convolve_transposed, {3, 3, 2, 5}, 5, {8, 8, 5}), ContractError);
  EXPECT_THROW(try_shapes(convolve_transposed, {4, 4, 2, 5}, 5, {4, 4, 5}), ContractError);
  const auto halve = [&](std::array<Index, 3> from, std::array<Index, 4> w,
                         std::array<Index, 3> to) {
    Buffer<float, 3> y(to);
    convolve_halving(Buffer<float, 3>(from).view(), Buffer<float, 4>(w).view(),
                     Buffer<float, 1>({to[2]}).view(), y.view());
  };
  EXPECT_NO_THROW(halve({4, 6, 2}, {4, 4, 2, 5}, {2, 3, 5}));
  EXPECT_THROW(halve({4, 6, 2}, {3, 3, 2, 5}, {2, 3, 5}), ContractError);
  EXPECT_THROW(halve({5, 6, 2}, {4, 4, 2, 5}, {2, 3, 5}), ContractError);
  EXPECT_THROW(halve({4, 7, 2}, {4, 4, 2, 5}, {2, 3, 5}), ContractError);
  EXPECT_THROW(halve({4, 6, 1}, {4, 4, 2, 5}, {2, 3, 5}), ContractError);
}

MaskLayer random_layer(Index k, Index C, Index O, unsigned seed) {
  return {random<float, 4>({k, k, C, O}, seed), random<float, 1>({O}, seed + 1)};
}

// Two blocks, so that what the first makes is what the second adds to.
TEST(MaskLayers, AddWhatABlockMakesOfItsInput) {
  auto x = random<float, 3>({3, 4, 5}, 400);
  std::vector<MaskLayer> blocks;
  for (unsigned i = 0; i < 6; ++i)
    blocks.push_back(random_layer(i % 3 == 2 ? 1 : 3, 5, 5, 410 + 2 * i));
  Buffer<float, 3> expected({3, 4, 5});
  std::copy_n(x.view().data(), x.view().count(), expected.view().data());
  for (std::size_t first : {0, 3}) {
    auto y = convolved(expected, blocks[first]);
    for (Index i = 0; i < 60; ++i) y.view().data()[i] = std::max(0.0f, y.view().data()[i]);
    y = convolved(y, blocks[first + 1]);
    for (Index i = 0; i < 60; ++i) y.view().data()[i] = std::max(0.0f, y.view().data()[i]);
    y = convolved(y, blocks[first + 2]);
    for (Index i = 0; i < 60; ++i) expected.view().data()[i] += y.view().data()[i];
  }
  add_residuals(blocks, x);
  EXPECT_TRUE(close(x.view(), expected.view(), kExact));
}

class MaskLayersFile : public ::testing::Test {
 protected:
  MaskLayerReader reader(const std::map<std::string, NpzArray>& arrays) {
    write_text(path_, npz_of(arrays));
    return MaskLayerReader(path_);
  }

  // 0, 1, 2, ... in that order.
  static NpzArray counted(const std::vector<Index>& shape) {
    NpzArray array{shape, {}};
    Index count = 1;
    for (Index size : shape) count *= size;
    for (Index i = 0; i < count; ++i) array.numbers.push_back(static_cast<float>(i));
    return array;
  }

  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_ / "layers.npz";
};

TEST_F(MaskLayersFile, HasOutputsFirst) {
  auto file = reader({{"a.weight", counted({3, 2, 4, 4})}, {"a.bias", counted({3})}});
  const MaskLayer layer = file.convolution("a", 2, MaskLayerReader::kAnyWidth, 4);
  ASSERT_EQ(shape_text(layer.weight.view()), "[4, 4, 2, 3]");
  EXPECT_EQ(layer.outputs(), 3);
  EXPECT_EQ(layer.weight.view()(1, 3, 1, 2), 2 * 32 + 1 * 16 + 1 * 4 + 3);
  EXPECT_EQ(layer.bias.view()(2), 2);
}

TEST_F(MaskLayersFile, HasInputsFirstOfATransposedLayer) {
  auto file = reader({{"a.weight", counted({2, 3, 4, 4})}, {"a.bias", counted({3})}});
  const MaskLayer layer = file.transposed("a", 2);
  ASSERT_EQ(shape_text(layer.weight.view()), "[4, 4, 2, 3]");
  EXPECT_EQ(layer.weight.view()(1, 3, 1, 2), 1 * 48 + 2 * 16 + 1 * 4 + 3);
}

TEST_F(MaskLayersFile, HasTheBlocksThatAreNamed) {
  std::map<std::string, NpzArray> arrays;
  for (const std::string block : {"b.net.", "c.net."}) {
    for (const std::string layer : {"0", "2", "4"}) {
      const Index k = layer == "4" ? 1 : 3;
      arrays[block + layer + ".weight"] = counted({2, 2, k, k});
      arrays[block + layer + ".bias"] = {{2}, {0, static_cast<float>(arrays.size())}};
    }
  }
  const auto layers = reader(arrays).residual("b", "c", 2);
  ASSERT_EQ(layers.size(), 6u);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(layers[i].weight.view().size(0), i % 3 == 2 ? 1 : 3);
    EXPECT_EQ(layers[i].bias.view()(1), static_cast<float>(2 * i + 1));
  }
}

TEST_F(MaskLayersFile, NamesWhatDoesNotFit) {
  auto file = reader({{"a.weight", counted({3, 2, 4, 4})},
                      {"a.bias", counted({2})},
                      {"b.weight", counted({1025, 1, 1, 1})},
                      {"c.weight", {{0, 1, 1, 1}, {}}},
                      {"d.weight", counted({1024, 1, 1, 1})},
                      {"d.bias", counted({1024})},
                      {"_vq_vae._embedding", counted({127, 3})}});
  const Index any = MaskLayerReader::kAnyWidth;
  const auto refusal = [&](const std::string& name, Index C, Index O, Index k) {
    return error_text<ModelFileError>([&] { file.convolution(name, C, O, k); });
  };
  const std::string array = path_.string() + ": array ";
  EXPECT_EQ(refusal("a", 2, 4, 4), array + "a.weight is [3, 2, 4, 4], expected [4, 2, 4, 4]");
  EXPECT_EQ(refusal("a", 2, 3, 4), array + "a.bias is [2], expected [3]");
  EXPECT_EQ(refusal("b", 1, any, 1),
            array + "b.weight is [1025, 1, 1, 1], expected [1 to 1024, 1, 1, 1]");
  EXPECT_EQ(refusal("c", 1, any, 1),
            array + "c.weight is [0, 1, 1, 1], expected [1 to 1024, 1, 1, 1]");
  EXPECT_EQ(refusal("e", 1, 1, 1), array + "e.weight is missing, expected [1, 1, 1, 1]");
  EXPECT_NO_THROW(file.convolution("d", 1, any, 1));
  EXPECT_EQ(error_text<ModelFileError>([&] { file.codebook(); }),
            array + "_vq_vae._embedding is [127, 3], expected [128, 1 to 1024]");
}

}  // namespace
}  // namespace paligemma
