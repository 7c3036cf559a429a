#include "fast/siglip/patch_embedding.h"

#include <cmath>

#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

class FastPatchEmbedding : public OnEveryInstructionSet {
 protected:
  template <class Weight>
  void expect_matches_reference(View<const float, 3> pixels, Index P, Index D) {
    const Index side = pixels.size(0) / P, L = side * side, I = 3 * P * P;
    const auto weight = random<Weight, 2>({D, I}, 2);
    const auto bias = random<Weight, 1>({D}, 3);
    Buffer<float, 2> expected({L, D}), y({L, D});
    patch_embedding(reference, pixels, weight.view(), bias.view(), P, expected.view());
    patch_embedding(fast, pixels, weight.view(), bias.view(), P, y.view());
    const bool rounds = std::is_same_v<Weight, bf16> && L > 4 && rounds_to_bf16();
    EXPECT_TRUE(close(
        y.view(), expected.view(),
        rounds ? bf16_products_of(I) : twice(float_sum_of(I + 1, static_cast<double>(I) / 4 + 2))))
        << "R = " << pixels.size(0) << ", P = " << P << ", D = " << D;
  }
  // 14 and 1152 are So400m's, 32, 6 and 36 the golden PaliGemma 1's, which leaves pixels over.
  template <class Weight>
  void expect_matches_reference_in_all_sizes() {
    struct Size {
      Index R, P, D;
    };
    for (const auto& [R, P, D] :
         {Size{1, 1, 1}, Size{3, 1, 3}, Size{3, 1, 4304}, Size{4, 2, 72}, Size{7, 2, 3},
          Size{7, 7, 257}, Size{9, 3, 33}, Size{32, 6, 36}, Size{14, 14, 1152}, Size{43, 14, 65}}) {
      expect_matches_reference<Weight>(random<float, 3>({R, R, 3}, 1).view(), P, D);
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, FastPatchEmbedding, kInstructionSets, instruction_set_name);

TEST_P(FastPatchEmbedding, MatchesReferenceWithFloatWeights) {
  expect_matches_reference_in_all_sizes<float>();
}
TEST_P(FastPatchEmbedding, MatchesReferenceWithBf16Weights) {
  expect_matches_reference_in_all_sizes<bf16>();
}
TEST_P(FastPatchEmbedding, MatchesReferenceWithF16Weights) {
  expect_matches_reference_in_all_sizes<f16>();
}

// A picture stored channels first is the same picture under other strides.
TEST_P(FastPatchEmbedding, TakesStridedPixels) {
  for (Index R : {4, 7}) {
    const auto planes = random<float, 3>({3, R, R}, 1);
    expect_matches_reference<float>(
        View<const float, 3>(planes.view().data(), {R, R, 3}, {R, 1, R * R}), 2, 5);
  }
}

TEST_P(FastPatchEmbedding, DoesNotReadWhatFillsNoPatch) {
  auto pixels = random<float, 3>({7, 7, 3}, 1);
  for (Index i = 0; i < 7; ++i) {
    for (Index c = 0; c < 3; ++c) pixels.view()(6, i, c) = pixels.view()(i, 6, c) = NAN;
  }
  for (Index P : {2, 3}) expect_matches_reference<float>(pixels.view(), P, 5);
}

TEST_P(FastPatchEmbedding, TakesAPictureSmallerThanAPatch) {
  expect_matches_reference<float>(random<float, 3>({3, 3, 3}, 1).view(), 4, 5);
}

// Sums of L products, whose magnitudes are L / 4 together, and of L numbers, L / 2, and of what was there.
TEST_P(FastPatchEmbedding, GoesBackAsTheReference) {
  struct Size {
    Index R, P, D;
  };
  for (const auto& [R, P, D] : {Size{1, 1, 1}, Size{3, 1, 4304}, Size{4, 2, 72}, Size{7, 2, 3},
                                Size{9, 3, 33}, Size{14, 14, 1152}, Size{43, 14, 65}}) {
    SCOPED_TRACE("R = " + std::to_string(R) + ", P = " + std::to_string(P) +
                 ", D = " + std::to_string(D));
    const Index side = R / P, L = side * side, I = 3 * P * P;
    const auto planes = random<float, 3>({3, R, R}, 1);  // channels first
    const View<const float, 3> pixels(planes.view().data(), {R, R, 3}, {R, 1, R * R});
    const auto dy = random<float, 2>({L, D}, 2);
    auto dweight = random<float, 2>({D, I}, 3), expected_dweight = random<float, 2>({D, I}, 3);
    auto dbias = random<float, 1>({D}, 4), expected_dbias = random<float, 1>({D}, 4);
    patch_embedding_backward(fast, pixels, P, dy.view(), dweight.view(), dbias.view());
    patch_embedding_backward(reference, pixels, P, dy.view(), expected_dweight.view(),
                             expected_dbias.view());
    const auto n = static_cast<double>(L);
    EXPECT_TRUE(close(dweight.view(), expected_dweight.view(), twice(float_sum_of(L, n / 4 + 1))));
    EXPECT_TRUE(close(dbias.view(), expected_dbias.view(), twice(float_sum_of(L, n / 2 + 1))));
  }
}

TEST_P(FastPatchEmbedding, LeavesOutWhatIsNotAskedForOnTheWayBack) {
  const auto pixels = random<float, 3>({9, 9, 3}, 1);
  const auto dy = random<float, 2>({9, 33}, 2);
  Buffer<float, 2> dweight({33, 27}), dweight_alone({33, 27});
  Buffer<float, 1> dbias({33}), dbias_alone({33});
  patch_embedding_backward(fast, pixels.view(), 3, dy.view(), dweight.view(), dbias.view());
  patch_embedding_backward(fast, pixels.view(), 3, dy.view(), dweight_alone.view(), {});
  patch_embedding_backward(fast, pixels.view(), 3, dy.view(), {}, dbias_alone.view());
  EXPECT_TRUE(close(dweight_alone.view(), dweight.view(), kExact));
  EXPECT_TRUE(close(dbias_alone.view(), dbias.view(), kExact));
}

TEST_P(FastPatchEmbedding, RejectsWrongShapesOnTheWayBack) {
  const Buffer<float, 3> pixels({4, 4, 3}), grey({4, 4, 1}), wide({4, 6, 3});
  const Buffer<float, 2> dy({4, 5}), short_dy({3, 5});
  Buffer<float, 2> dweight({5, 12}), narrow_dweight({5, 11}), short_dweight({4, 12});
  Buffer<float, 1> dbias({5}), short_dbias({4});
  const auto run = [this](const auto& p, Index P, const auto& d, auto& w, auto& b) {
    patch_embedding_backward(fast, p.view(), P, d.view(), w.view(), b.view());
  };
  EXPECT_NO_THROW(run(pixels, 2, dy, dweight, dbias));
  EXPECT_THROW(run(grey, 2, dy, dweight, dbias), ContractError);
  EXPECT_THROW(run(wide, 2, dy, dweight, dbias), ContractError);
  EXPECT_THROW(run(pixels, 1, dy, dweight, dbias), ContractError);
  EXPECT_THROW(run(pixels, 0, dy, dweight, dbias), ContractError);
  EXPECT_THROW(run(pixels, 2, short_dy, dweight, dbias), ContractError);
  EXPECT_THROW(run(pixels, 2, dy, narrow_dweight, dbias), ContractError);
  EXPECT_THROW(run(pixels, 2, dy, short_dweight, dbias), ContractError);
  EXPECT_THROW(run(pixels, 2, dy, dweight, short_dbias), ContractError);
}

TEST_P(FastPatchEmbedding, RejectsWrongShapes) {
  const Buffer<float, 3> pixels({4, 4, 3}), grey({4, 4, 1}), wide({4, 6, 3});
  const Buffer<float, 2> weight({5, 12}), narrow_weight({5, 11});
  const Buffer<float, 1> bias({5}), short_bias({4});
  Buffer<float, 2> y({4, 5}), narrow_y({4, 4}), short_y({3, 5});
  const auto run = [this](const auto& p, const auto& w, const auto& b, Index P, auto& to) {
    patch_embedding(fast, p.view(), w.view(), b.view(), P, to.view());
  };
  EXPECT_NO_THROW(run(pixels, weight, bias, 2, y));
  EXPECT_THROW(run(grey, weight, bias, 2, y), ContractError);
  EXPECT_THROW(run(wide, weight, bias, 2, y), ContractError);
  EXPECT_THROW(run(pixels, narrow_weight, bias, 2, y), ContractError);
  EXPECT_THROW(run(pixels, weight, short_bias, 2, y), ContractError);
  EXPECT_THROW(run(pixels, weight, bias, 2, narrow_y), ContractError);
  EXPECT_THROW(run(pixels, weight, bias, 2, short_y), ContractError);
  EXPECT_THROW(run(pixels, weight, bias, 1, y), ContractError);
  EXPECT_THROW(run(pixels, weight, bias, 0, y), ContractError);
}

}  // namespace
}  // namespace paligemma
