#include "cuda/gemma/rms_norm.h"

#include "gemma/rms_norm.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::RmsNormKernel;

constexpr RmsNormRule kRule{0.01f, 1};  // an eps large enough to be seen

template <class Weight>
class CudaRmsNormOf : public CudaTest {
 protected:
  static void expect_matches_reference(Index T, Index D, RmsNormKernel kernel,
                                       RmsNormRule rule = kRule) {
    const auto x = random<float, 2>({T, D}, 1);
    const auto scale = random<Weight, 1>({D}, 2);
    Buffer<float, 2> expected({T, D});
    rms_norm(reference, x.view(), scale.view(), rule, expected.view());

    const cuda::Stream stream;
    const auto x_there = to_device(stream, x.view());
    const auto scale_there = to_device(stream, scale.view());
    in_every_order([&] {
      cuda::DeviceBuffer<float, 2> y_there({T, D});
      rms_norm(stream, x_there.view(), scale_there.view(), rule, y_there.view(), kernel);
      const auto y = to_host(stream, y_there.view());
      EXPECT_TRUE(close(y.view(), expected.view(), twice(float_sum_of(D))))
          << "T = " << T << ", D = " << D;
    });
  }
};

using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(CudaRmsNormOf, Weights);

// Not multiples of a warp, of the block or of a pack; then the models' own.
constexpr Index kTokens[] = {1, 3};
constexpr Index kFeatures[] = {1, 7, 255, 257, 1152, 2048};
constexpr Index kPackableFeatures[] = {4, 8, 1152, 2048, 2056};

// More rows than a block has threads.
TYPED_TEST(CudaRmsNormOf, ThreadPerRowMatchesReference) {
  for (Index T : {1, 3, 257}) this->expect_matches_reference(T, 7, RmsNormKernel::thread_per_row);
  for (Index D : kFeatures) this->expect_matches_reference(3, D, RmsNormKernel::thread_per_row);
}

TYPED_TEST(CudaRmsNormOf, BlockPerRowMatchesReference) {
  for (Index T : kTokens)
    for (Index D : kFeatures) this->expect_matches_reference(T, D, RmsNormKernel::block_per_row);
}

TYPED_TEST(CudaRmsNormOf, BlockPerRowVecMatchesReference) {
  for (Index T : kTokens)
    for (Index D : kPackableFeatures)
      this->expect_matches_reference(T, D, RmsNormKernel::block_per_row_vec);
}

TYPED_TEST(CudaRmsNormOf, BestMatchesReference) {
  for (Index D : kFeatures) this->expect_matches_reference(3, D, RmsNormKernel::best);
}

TYPED_TEST(CudaRmsNormOf, WithoutAnOffsetTheGainIsWhole) {
  for (auto kernel : {RmsNormKernel::thread_per_row, RmsNormKernel::block_per_row,
                      RmsNormKernel::block_per_row_vec}) {
    this->expect_matches_reference(3, 264, kernel, {0.01f, 0});
  }
}

class CudaRmsNorm : public CudaTest {};

TEST_F(CudaRmsNorm, MayWriteInPlace) {
  const auto x = random<float, 2>({3, 264}, 1);
  const auto scale = random<float, 1>({264}, 2);
  Buffer<float, 2> expected({3, 264});
  rms_norm(reference, x.view(), scale.view(), kRule, expected.view());
  const cuda::Stream stream;
  const auto scale_there = to_device(stream, scale.view());
  for (auto kernel : {RmsNormKernel::thread_per_row, RmsNormKernel::block_per_row,
                      RmsNormKernel::block_per_row_vec}) {
    in_every_order([&] {
      auto x_there = to_device(stream, x.view());
      rms_norm(stream, x_there.view(), scale_there.view(), kRule, x_there.view(), kernel);
      const auto y = to_host(stream, x_there.view());
      EXPECT_TRUE(close(y.view(), expected.view(), twice(float_sum_of(264))));
    });
  }
}

TEST_F(CudaRmsNorm, BestTakesRowsThatArePartOfSomething) {
  const auto x = random<float, 2>({3, 8}, 1);
  const auto scale = random<float, 1>({8}, 2);
  const cuda::Stream stream;
  const auto x_there = to_device(stream, x.view());
  const auto scale_there = to_device(stream, scale.view());
  cuda::DeviceBuffer<float, 2> y_there({2, 8});
  rms_norm(stream, x_there.view().rows(1, 3), scale_there.view(), kRule, y_there.view());
  Buffer<float, 2> expected({2, 8});
  rms_norm(reference, x.view().rows(1, 3), scale.view(), kRule, expected.view());
  const auto y = to_host(stream, y_there.view());
  EXPECT_TRUE(close(y.view(), expected.view(), twice(float_sum_of(8))));
}

TEST_F(CudaRmsNorm, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> x({2, 7});
  const cuda::DeviceBuffer<float, 1> scale({7}), short_scale({6});
  cuda::DeviceBuffer<float, 2> y({2, 7}), short_y({1, 7});
  const auto try_it = [&](auto s, auto to, RmsNormKernel kernel) {
    rms_norm<float>(stream, x.view(), s, kRule, to, kernel);
  };
  EXPECT_THROW(try_it(short_scale.view(), y.view(), RmsNormKernel::best), ContractError);
  EXPECT_THROW(try_it(scale.view(), short_y.view(), RmsNormKernel::best), ContractError);
  EXPECT_THROW(try_it(scale.view(), y.view(), RmsNormKernel::block_per_row_vec), ContractError);
}

}  // namespace
}  // namespace paligemma
