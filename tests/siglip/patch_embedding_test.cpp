#include "siglip/patch_embedding.h"

#include <limits>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

// A black picture of R x R pixels.
Buffer<float, 3> picture(Index R) { return Buffer<float, 3>({R, R, 3}); }

template <class Weight>
Buffer<float, 2> embed(const Buffer<float, 3>& pixels, const Buffer<Weight, 2>& weight,
                       const Buffer<Weight, 1>& bias, Index P) {
  const Index side = pixels.view().size(0) / P;
  Buffer<float, 2> y({side * side, weight.view().size(0)});
  patch_embedding(reference, pixels.view(), weight.view(), bias.view(), P, y.view());
  return y;
}

// docs/siglip/patch_embedding.md, "By hand".
TEST(PatchEmbedding, WorkedExample) {
  auto pixels = picture(4);
  for (Index i = 0; i < 16; ++i) {
    pixels.view()(i / 4, i % 4, 0) = static_cast<float>(i + 1);  // red: 1 to 16
    pixels.view()(i / 4, i % 4, 1) = 1.0f;                       // green: 1 everywhere
  }
  const auto weight = rows_of({{1, 2, 3, 4, 10, 10, 10, 10, 5, 6, 7, 8}});
  const auto bias = vector_of({0.5});
  const auto y = embed(pixels, weight, bias, 2);
  EXPECT_TRUE(close(y.view(), rows_of({{84.5}, {104.5}, {164.5}, {184.5}}).view(), kExact));
}

TEST(PatchEmbedding, PatchesGoRowByRow) {
  const auto weight = rows_of({{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}});
  const auto bias = vector_of({0});
  auto pixels = picture(6);
  pixels.view()(1, 5, 0) = 1;  // the top right patch, the third of nine
  auto expected = Buffer<float, 2>({9, 1});
  expected.view()(2, 0) = 1;
  EXPECT_TRUE(close(embed(pixels, weight, bias, 2).view(), expected.view(), kExact));
}

// One lit pixel meets one weight: that of its channel, then row, then column.
TEST(PatchEmbedding, WeightsGoByChannelThenRowThenColumn) {
  Buffer<float, 2> weight({1, 12});
  for (Index i = 0; i < 12; ++i) weight.view()(0, i) = static_cast<float>(i);
  const auto bias = vector_of({0});
  for (Index c = 0; c < 3; ++c) {
    for (Index i = 0; i < 2; ++i) {
      for (Index j = 0; j < 2; ++j) {
        auto pixels = picture(2);
        pixels.view()(i, j, c) = 1;
        const auto y = embed(pixels, std::as_const(weight), bias, 2);
        EXPECT_EQ(y.view()(0, 0), static_cast<float>(c * 4 + i * 2 + j));
      }
    }
  }
}

// So400m has patches of 14 pixels and no class token.
TEST(PatchEmbedding, Makes256PatchesOf224Pixels) {
  const auto pixels = picture(224);
  const auto weight = random<float, 2>({1, 3 * 14 * 14}, 1);
  const auto bias = vector_of({0.25});
  EXPECT_EQ(embed(pixels, weight, bias, 14).view().size(0), 256);
  Buffer<float, 2> with_class_token({257, 1});
  EXPECT_THROW(patch_embedding(reference, pixels.view(), weight.view(), bias.view(), 14,
                               with_class_token.view()),
               ContractError);
}

TEST(PatchEmbedding, ABlackPictureGivesTheBias) {
  const auto bias = random<float, 1>({5}, 2);
  const auto y = embed(picture(4), random<float, 2>({5, 12}, 1), bias, 2);
  for (Index l = 0; l < 4; ++l) EXPECT_TRUE(close(y.view().row(l), bias.view(), kExact));
}

// The golden PaliGemma 1 has 32 pixels a side and patches of 6: two rows and columns are left over.
TEST(PatchEmbedding, DoesNotReadWhatFillsNoPatch) {
  auto pixels = random<float, 3>({5, 5, 3}, 1);
  auto inner = picture(4);
  for (Index i = 0; i < 5; ++i) {
    for (Index j = 0; j < 5; ++j) {
      for (Index c = 0; c < 3; ++c) {
        if (i < 4 && j < 4) {
          inner.view()(i, j, c) = pixels.view()(i, j, c);
        } else {
          pixels.view()(i, j, c) = std::numeric_limits<float>::quiet_NaN();
        }
      }
    }
  }
  const auto weight = random<float, 2>({3, 12}, 2);
  const auto bias = random<float, 1>({3}, 3);
  EXPECT_TRUE(
      close(embed(pixels, weight, bias, 2).view(), embed(inner, weight, bias, 2).view(), kExact));
}

// A picture stored channels first is the same picture under other strides.
TEST(PatchEmbedding, TakesStridedPixels) {
  const auto planes = random<float, 3>({3, 4, 4}, 1);
  const View<const float, 3> pixels(planes.view().data(), {4, 4, 3}, {4, 1, 16});
  auto copied = picture(4);
  for (Index i = 0; i < 4; ++i) {
    for (Index j = 0; j < 4; ++j) {
      for (Index c = 0; c < 3; ++c) copied.view()(i, j, c) = planes.view()(c, i, j);
    }
  }
  const auto weight = random<float, 2>({3, 12}, 2);
  const auto bias = random<float, 1>({3}, 3);
  Buffer<float, 2> y({4, 3});
  patch_embedding(reference, pixels, weight.view(), bias.view(), 2, y.view());
  EXPECT_TRUE(close(y.view(), embed(copied, weight, bias, 2).view(), kExact));
}

TEST(PatchEmbedding, RejectsWrongShapes) {
  const auto pixels = picture(4), grey = Buffer<float, 3>({4, 4, 1}),
             wide = Buffer<float, 3>({4, 6, 3});
  const auto weight = random<float, 2>({5, 12}, 1), short_weight = random<float, 2>({5, 11}, 1);
  const auto bias = random<float, 1>({5}, 2), short_bias = random<float, 1>({4}, 2);
  Buffer<float, 2> y({4, 5}), narrow_y({4, 4});
  const auto run = [](const auto& p, const auto& w, const auto& b, Index P, auto& out) {
    patch_embedding(reference, p.view(), w.view(), b.view(), P, out.view());
  };
  EXPECT_NO_THROW(run(pixels, weight, bias, 2, y));
  EXPECT_THROW(run(grey, weight, bias, 2, y), ContractError);
  EXPECT_THROW(run(wide, weight, bias, 2, y), ContractError);
  EXPECT_THROW(run(pixels, short_weight, bias, 2, y), ContractError);
  EXPECT_THROW(run(pixels, weight, short_bias, 2, y), ContractError);
  EXPECT_THROW(run(pixels, weight, bias, 2, narrow_y), ContractError);
  EXPECT_THROW(run(pixels, weight, bias, 1, y), ContractError);
  EXPECT_THROW(run(pixels, weight, bias, 0, y), ContractError);
}

// The definition again, in double, the other way round: every pixel finds its patch.
template <class Weight>
Buffer<float, 2> oracle(View<const float, 3> pixels, View<const Weight, 2> weight,
                        View<const Weight, 1> bias, Index P) {
  const Index R = pixels.size(0), side = R / P, D = weight.size(0);
  Buffer<float, 2> y({side * side, D});
  for (Index d = 0; d < D; ++d) {
    std::vector<double> sums(static_cast<std::size_t>(side * side), widen(bias(d)));
    const View<const Weight, 3> filter(&weight(d, 0), {3, P, P});
    for (Index row = 0; row < side * P; ++row) {
      for (Index column = 0; column < side * P; ++column) {
        double& sum = sums[row / P * side + column / P];
        for (Index c = 0; c < 3; ++c) {
          sum += double{pixels(row, column, c)} * widen(filter(c, row % P, column % P));
        }
      }
    }
    for (Index l = 0; l < side * side; ++l) y.view()(l, d) = static_cast<float>(sums[l]);
  }
  return y;
}

template <class Weight>
class PatchEmbeddingOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(PatchEmbeddingOf, Weights);

// 14 and 1152 are So400m's, 32, 6 and 36 the golden PaliGemma 1's; the rest are the sizes that
// break kernels.
TYPED_TEST(PatchEmbeddingOf, MatchesTheDefinition) {
  struct Size {
    Index R, P, D;
  };
  for (const auto [R, P, D] : {Size{1, 1, 1}, Size{7, 1, 7}, Size{7, 7, 255}, Size{9, 3, 257},
                               Size{32, 6, 36}, Size{14, 14, 1152}, Size{42, 14, 16}}) {
    const auto pixels = random<float, 3>({R, R, 3}, 1);
    const auto weight = random<TypeParam, 2>({D, 3 * P * P}, 2);
    const auto bias = random<TypeParam, 1>({D}, 3);
    const auto expected = oracle(pixels.view(), weight.view(), bias.view(), P);
    // No term is larger than 1.
    const Index terms = 3 * P * P + 1;
    EXPECT_TRUE(close(embed(pixels, weight, bias, P).view(), expected.view(),
                      float_sum_of(terms, static_cast<double>(terms))))
        << "R = " << R << ", P = " << P << ", D = " << D;
  }
}

// ---- backward --------------------------------------------------------------------------------------

// R = 7 leaves a pixel over at the right and the bottom for P = 3.
TEST(PatchEmbeddingBackward, IsTheSlopeOfTheDefinition) {
  struct Size {
    Index R, P, D;
  };
  for (const auto [R, P, D] : {Size{1, 1, 1}, Size{6, 3, 5}, Size{7, 3, 4}, Size{8, 2, 3}}) {
    const auto pixels = random<float, 3>({R, R, 3}, 1);
    const Index side = R / P, I = 3 * P * P;
    const auto weight = random<float, 2>({D, I}, 2), dy = random<float, 2>({side * side, D}, 4);
    const auto bias = random<float, 1>({D}, 3);
    const auto definition = [&, R = R, P = P, D = D](const Doubles& w, const Doubles& b) {
      Doubles y;
      for (Index l = 0; l < side * side; ++l) {
        for (Index d = 0; d < D; ++d) {
          double sum = b[static_cast<std::size_t>(d)];
          for (Index i = 0; i < I; ++i) {
            const Index row = l / side * P + i / P % P, column = l % side * P + i % P;
            sum += double{pixels.view()(row, column, i / (P * P))} *
                   w[static_cast<std::size_t>(d * I + i)];
          }
          y.push_back(sum);
        }
      }
      return y;
    };
    auto dweight = random<float, 2>({D, I}, 5);
    auto dbias = random<float, 1>({D}, 6);
    const Doubles w = doubles(weight), b = doubles(bias);
    const Doubles expected_dweight =
        doubles(dweight) +
        gradient_of([&](const Doubles& changed) { return definition(changed, b); }, w, doubles(dy));
    const Doubles expected_dbias =
        doubles(dbias) +
        gradient_of([&](const Doubles& changed) { return definition(w, changed); }, b, doubles(dy));
    patch_embedding_backward(reference, pixels.view(), P, dy.view(), dweight.view(), dbias.view());
    EXPECT_TRUE(is_gradient(dweight, expected_dweight, side * side)) << "R = " << R;
    EXPECT_TRUE(is_gradient(dbias, expected_dbias, side * side)) << "R = " << R;
  }
}

TEST(PatchEmbeddingBackward, LeavesOutWhatIsNotAskedFor) {
  const auto pixels = random<float, 3>({6, 6, 3}, 1);
  const auto dy = random<float, 2>({4, 5}, 2);
  Buffer<float, 2> dweight({5, 27}), dweight_alone({5, 27});
  Buffer<float, 1> dbias({5}), dbias_alone({5});
  patch_embedding_backward(reference, pixels.view(), 3, dy.view(), dweight.view(), dbias.view());
  patch_embedding_backward(reference, pixels.view(), 3, dy.view(), dweight_alone.view(), {});
  patch_embedding_backward(reference, pixels.view(), 3, dy.view(), {}, dbias_alone.view());
  EXPECT_TRUE(close(dweight_alone.view(), dweight.view(), kExact));
  EXPECT_TRUE(close(dbias_alone.view(), dbias.view(), kExact));
}

TEST(PatchEmbeddingBackward, RejectsWrongShapes) {
  const auto pixels = random<float, 3>({6, 6, 3}, 1), grey = random<float, 3>({6, 6, 1}, 1);
  const auto dy = random<float, 2>({4, 5}, 2), few_dy = random<float, 2>({3, 5}, 2);
  Buffer<float, 2> dweight({5, 27}), narrow({5, 26});
  Buffer<float, 1> dbias({5}), short_dbias({4});
  const auto run = [](const Buffer<float, 3>& p, const Buffer<float, 2>& d, Buffer<float, 2>& dw,
                      Buffer<float, 1>& db) {
    patch_embedding_backward(reference, p.view(), 3, d.view(), dw.view(), db.view());
  };
  EXPECT_NO_THROW(run(pixels, dy, dweight, dbias));
  EXPECT_THROW(run(grey, dy, dweight, dbias), ContractError);
  EXPECT_THROW(run(pixels, few_dy, dweight, dbias), ContractError);
  EXPECT_THROW(run(pixels, dy, narrow, dbias), ContractError);
  EXPECT_THROW(run(pixels, dy, dweight, short_dbias), ContractError);
}

}  // namespace
}  // namespace paligemma
