#include "cuda/siglip/position_embedding.h"

#include "siglip/position_embedding.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::PositionEmbeddingKernel;

template <class Weight>
class CudaPositionEmbeddingOf : public CudaTest {
 protected:
  static void expect_matches_reference(Index L, Index D, PositionEmbeddingKernel kernel) {
    const auto table = random<Weight, 2>({L, D}, 1);
    auto x = random<float, 2>({L, D}, 2);
    const cuda::Stream stream;
    const auto table_there = to_device(stream, table.view());
    auto x_there = to_device(stream, x.view());
    position_embedding(stream, table_there.view(), x_there.view(), kernel);
    position_embedding(reference, table.view(), x.view());
    const auto y = to_host(stream, x_there.view());
    EXPECT_TRUE(close(y.view(), x.view(), kExact)) << "L = " << L << ", D = " << D;
  }
};

using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(CudaPositionEmbeddingOf, Weights);

TYPED_TEST(CudaPositionEmbeddingOf, ThreadPerNumberMatchesReference) {
  for (Index D : {1, 7, 255, 257, 1152}) {
    this->expect_matches_reference(3, D, PositionEmbeddingKernel::thread_per_number);
  }
}

TYPED_TEST(CudaPositionEmbeddingOf, ThreadPerPackMatchesReference) {
  for (Index D : {4, 256, 1020, 1028, 1152}) {
    this->expect_matches_reference(3, D, PositionEmbeddingKernel::thread_per_pack);
  }
}

TYPED_TEST(CudaPositionEmbeddingOf, BestMatchesReference) {
  for (Index D : {1, 7, 255, 257, 1152}) {
    this->expect_matches_reference(3, D, PositionEmbeddingKernel::best);
  }
}

TYPED_TEST(CudaPositionEmbeddingOf, BestTakesTablesThatStartAnywhere) {
  const auto whole = random<TypeParam, 2>({1, 9}, 1);
  auto x = random<float, 2>({1, 8}, 2);
  const cuda::Stream stream;
  const auto there = to_device(stream, whole.view());
  auto x_there = to_device(stream, x.view());
  position_embedding(stream, DeviceView<const TypeParam, 2>(there.view().data() + 1, {1, 8}),
                     x_there.view());
  position_embedding(reference, View<const TypeParam, 2>(whole.view().data() + 1, {1, 8}),
                     x.view());
  const auto y = to_host(stream, x_there.view());
  EXPECT_TRUE(close(y.view(), x.view(), kExact));
}

TYPED_TEST(CudaPositionEmbeddingOf, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<TypeParam, 2> table({2, 7}), other({7, 2});
  cuda::DeviceBuffer<float, 2> x({2, 7});
  EXPECT_THROW(position_embedding(stream, other.view(), x.view()), ContractError);
  EXPECT_THROW(
      position_embedding(stream, table.view(), x.view(), PositionEmbeddingKernel::thread_per_pack),
      ContractError);
}

}  // namespace
}  // namespace paligemma
