#include "cuda/tensor/gelu.h"

#include <limits>

#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::GeluKernel;

// The argument of tanh or erf takes a few roundings, the function 2 ulp (4 roundings) on a GPU, and
// 1 + it loses digits where it is near -1: that error is measured against |x|, at most 4 here.
constexpr Tolerance kGelu{16 * kUnitRoundoff, 16 * kUnitRoundoff * 4};

class CudaGelu : public CudaTest {
 protected:
  static void expect_matches_reference(Index T, Index F, GeluKernel kernel) {
    auto x = random<float, 2>({T, F}, 1);
    for (Index i = 0; i < T * F; ++i) x.view().data()[i] *= 4;
    const cuda::Stream stream;
    const auto x_there = to_device(stream, x.view());
    for (GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
      Buffer<float, 2> expected({T, F});
      gelu(reference, form, x.view(), expected.view());
      cuda::DeviceBuffer<float, 2> y_there({T, F});
      gelu(stream, form, x_there.view(), y_there.view(), kernel);
      const auto y = to_host(stream, y_there.view());
      EXPECT_TRUE(close(y.view(), expected.view(), kGelu)) << "T = " << T << ", F = " << F;
    }
  }
};

TEST_F(CudaGelu, ThreadPerNumberMatchesReference) {
  for (Index F : {1, 7, 255, 257, 4304}) {
    expect_matches_reference(3, F, GeluKernel::thread_per_number);
  }
}

TEST_F(CudaGelu, ThreadPerPackMatchesReference) {
  for (Index F : {4, 256, 1020, 1028, 4304}) {
    expect_matches_reference(3, F, GeluKernel::thread_per_pack);
  }
}

TEST_F(CudaGelu, BestMatchesReference) {
  for (Index F : {1, 7, 255, 257, 4304}) expect_matches_reference(3, F, GeluKernel::best);
}

TEST_F(CudaGelu, BestTakesRowsThatStartAnywhere) {
  const auto whole = random<float, 2>({1, 9}, 1);
  const View<const float, 2> x(whole.view().data() + 1, {1, 8});
  Buffer<float, 2> expected({1, 8});
  gelu(reference, GeluForm::tanh, x, expected.view());
  const cuda::Stream stream;
  const auto there = to_device(stream, whole.view());
  cuda::DeviceBuffer<float, 2> y_there({1, 8});
  gelu(stream, GeluForm::tanh, DeviceView<const float, 2>(there.view().data() + 1, {1, 8}),
       y_there.view());
  const auto y = to_host(stream, y_there.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kGelu));
}

TEST_F(CudaGelu, PassesLargeNumbersAndStopsLargeNegativeOnes) {
  const auto x = rows_of({{100, -100, 0, 1e30}});
  const cuda::Stream stream;
  for (GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
    auto x_there = to_device(stream, x.view());
    gelu(stream, form, x_there.view(), x_there.view());  // in place
    const auto y = to_host(stream, x_there.view());
    EXPECT_TRUE(close(y.view(), rows_of({{100, 0, 0, 1e30}}).view(), kExact));
  }
}

TEST_F(CudaGelu, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> x({2, 7});
  cuda::DeviceBuffer<float, 2> y({2, 7}), other({7, 2});
  EXPECT_THROW(gelu(stream, GeluForm::tanh, x.view(), other.view()), ContractError);
  EXPECT_THROW(gelu(stream, GeluForm::tanh, x.view(), y.view(), GeluKernel::thread_per_pack),
               ContractError);
}

}  // namespace
}  // namespace paligemma
