#include "cuda/siglip/patch_embedding.h"

#include <limits>
#include <utility>

#include "siglip/patch_embedding.h"
#include "tests/support/cuda_test.h"
#include "tests/support/rounded.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::Math;
using cuda::PatchEmbeddingKernel;

struct Size {
  Index R, P, D;
};

template <class Weight>
class CudaPatchEmbeddingOf : public CudaTest {
 protected:
  // No term is larger than 1.
  static Tolerance tolerance(Index terms) {
    return twice(float_sum_of(terms, static_cast<double>(terms)));
  }

  static void expect_matches_reference(Size size, PatchEmbeddingKernel kernel, Math math) {
    const auto [R, P, D] = size;
    auto pixels = random<float, 3>({R, R, 3}, 1);
    // What fills no patch is not read.
    for (Index edge = R / P * P; edge < R; ++edge) {
      for (Index along = 0; along < R; ++along) {
        for (Index c = 0; c < 3; ++c) {
          pixels.view()(edge, along, c) = pixels.view()(along, edge, c) =
              std::numeric_limits<float>::quiet_NaN();
        }
      }
    }
    const auto weight = random<Weight, 2>({D, 3 * P * P}, 2);
    const auto bias = random<Weight, 1>({D}, 3);
    Buffer<float, 2> expected({(R / P) * (R / P), D});
    const bool may_round = math == Math::bf16 && kernel != PatchEmbeddingKernel::thread_per_output;
    patch_embedding(may_round ? kRoundedAsCuda : Rounded{}, std::as_const(pixels).view(),
                    weight.view(), bias.view(), P, expected.view());

    const cuda::Stream stream(math);
    const auto pixels_there = to_device(stream, pixels.view());
    const auto weight_there = to_device(stream, weight.view());
    const auto bias_there = to_device(stream, bias.view());
    cuda::DeviceBuffer<float, 2> y_there(expected.view().shape());
    patch_embedding(stream, pixels_there.view(), weight_there.view(), bias_there.view(), P,
                    y_there.view(), kernel);
    const auto y = to_host(stream, y_there.view());
    EXPECT_TRUE(close(y.view(), expected.view(), tolerance(3 * P * P + 1)))
        << "R = " << R << ", P = " << P << ", D = " << D;
  }
};

using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(CudaPatchEmbeddingOf, Weights);

// 14 is So400m's, 32, 6 and 36 the golden PaliGemma 1's. Rows of weights of 3, 12, 27, 48, 108, 147 and
// 588 numbers: some are whole packs, most are not.
constexpr Size kSizes[] = {{1, 1, 1},  {7, 1, 7},   {5, 2, 3},   {7, 3, 257},
                           {9, 4, 16}, {32, 6, 36}, {7, 7, 255}, {29, 14, 17}};

TYPED_TEST(CudaPatchEmbeddingOf, ThreadPerOutputMatchesReference) {
  for (const Size& size : kSizes) {
    this->expect_matches_reference(size, PatchEmbeddingKernel::thread_per_output, Math::bf16);
  }
}

TYPED_TEST(CudaPatchEmbeddingOf, UnfoldMatchesReference) {
  for (const Size& size : kSizes) {
    this->expect_matches_reference(size, PatchEmbeddingKernel::unfold, Math::bf16);
  }
}

TYPED_TEST(CudaPatchEmbeddingOf, UnfoldRoundsNothingIfTheStreamSaysSo) {
  for (const Size& size : kSizes) {
    this->expect_matches_reference(size, PatchEmbeddingKernel::unfold, Math::float32);
  }
}

// So400m's patch and width, one patch of it.
TYPED_TEST(CudaPatchEmbeddingOf, BestMatchesReference) {
  this->expect_matches_reference({14, 14, 1152}, PatchEmbeddingKernel::best, Math::bf16);
}

class CudaPatchEmbedding : public CudaTest {};

// A picture smaller than a patch has none.
TEST_F(CudaPatchEmbedding, TakesAPictureWithoutPatches) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 3> pixels({1, 1, 3});
  const cuda::DeviceBuffer<float, 2> weight({5, 12});
  const cuda::DeviceBuffer<float, 1> bias({5});
  cuda::DeviceBuffer<float, 2> y({0, 5});
  EXPECT_NO_THROW(patch_embedding(stream, pixels.view(), weight.view(), bias.view(), 2, y.view()));
}

TEST_F(CudaPatchEmbedding, RejectsWrongShapes) {
  const cuda::Stream stream;
  using Pixels = cuda::DeviceBuffer<float, 3>;
  using Matrix = cuda::DeviceBuffer<float, 2>;
  using Vector = cuda::DeviceBuffer<float, 1>;
  const Pixels pixels({4, 4, 3}), grey({4, 4, 1}), wide({4, 6, 3});
  const Matrix weight({5, 12}), short_weight({5, 11});
  const Vector bias({5}), short_bias({4});
  Matrix y({4, 5}), narrow_y({4, 4}), short_y({3, 5});
  const auto run = [&](const Pixels& p, const Matrix& w, const Vector& b, Index P, Matrix& out) {
    patch_embedding(stream, p.view(), w.view(), b.view(), P, out.view());
  };
  EXPECT_THROW(run(grey, weight, bias, 2, y), ContractError);
  EXPECT_THROW(run(wide, weight, bias, 2, y), ContractError);
  EXPECT_THROW(run(pixels, short_weight, bias, 2, y), ContractError);
  EXPECT_THROW(run(pixels, weight, short_bias, 2, y), ContractError);
  EXPECT_THROW(run(pixels, weight, bias, 2, narrow_y), ContractError);
  EXPECT_THROW(run(pixels, weight, bias, 2, short_y), ContractError);
  EXPECT_THROW(run(pixels, weight, bias, 1, y), ContractError);
  EXPECT_THROW(run(pixels, weight, bias, 0, y), ContractError);
  const DeviceView<const float, 3> planes(pixels.view().data(), {4, 4, 3}, {4, 1, 16});
  EXPECT_THROW(patch_embedding(stream, planes, weight.view(), bias.view(), 2, y.view()),
               ContractError);
}

}  // namespace
}  // namespace paligemma
