#include "cuda/tensor/residual_add.h"

#include "tensor/residual_add.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::ResidualAddKernel;

class CudaResidualAdd : public CudaTest {
 protected:
  static void expect_matches_reference(Index T, Index D, ResidualAddKernel kernel) {
    const auto branch = random<float, 2>({T, D}, 1);
    auto x = random<float, 2>({T, D}, 2);
    const cuda::Stream stream;
    const auto branch_there = to_device(stream, branch.view());
    auto x_there = to_device(stream, x.view());
    residual_add(stream, branch_there.view(), x_there.view(), kernel);
    residual_add(reference, branch.view(), x.view());
    const auto sum = to_host(stream, x_there.view());
    EXPECT_TRUE(close(sum.view(), x.view(), kExact)) << "T = " << T << ", D = " << D;
  }
};

TEST_F(CudaResidualAdd, ThreadPerNumberMatchesReference) {
  for (Index D : {1, 7, 255, 257, 1152, 2048}) {
    expect_matches_reference(3, D, ResidualAddKernel::thread_per_number);
  }
}

TEST_F(CudaResidualAdd, ThreadPerPackMatchesReference) {
  for (Index D : {4, 256, 1020, 1028, 1152, 2048}) {
    expect_matches_reference(3, D, ResidualAddKernel::thread_per_pack);
  }
}

TEST_F(CudaResidualAdd, BestMatchesReference) {
  for (Index D : {1, 7, 255, 257, 1152, 2048}) {
    expect_matches_reference(3, D, ResidualAddKernel::best);
  }
}

TEST_F(CudaResidualAdd, BestTakesRowsThatStartAnywhere) {
  const auto branch = random<float, 2>({1, 8}, 1), whole = random<float, 2>({2, 9}, 2);
  const cuda::Stream stream;
  const auto branch_there = to_device(stream, branch.view());
  auto whole_there = to_device(stream, whole.view());
  const DeviceView<float, 2> x_there(whole_there.view().data() + 3, {1, 8});
  residual_add(stream, branch_there.view(), x_there);
  const auto sum = to_host(stream, whole_there.view());
  for (Index i = 0; i < 18; ++i) {
    const float added = 3 <= i && i < 11 ? branch.view().data()[i - 3] : 0;
    EXPECT_EQ(sum.view().data()[i], whole.view().data()[i] + added) << i;
  }
}

TEST_F(CudaResidualAdd, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> branch({2, 7}), other({7, 2});
  cuda::DeviceBuffer<float, 2> x({2, 7});
  EXPECT_THROW(residual_add(stream, other.view(), x.view()), ContractError);
  EXPECT_THROW(residual_add(stream, branch.view(), x.view(), ResidualAddKernel::thread_per_pack),
               ContractError);
  const DeviceView<float, 2> transposed(x.view().data(), {2, 7}, {1, 2});
  EXPECT_THROW(residual_add(stream, branch.view(), transposed), ContractError);
}

}  // namespace
}  // namespace paligemma
