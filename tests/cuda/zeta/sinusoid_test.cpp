#include "cuda/zeta/sinusoid.h"

#include "tests/support/cuda_test.h"
#include "zeta/sinusoid.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::SinusoidKernel;

constexpr SinusoidKernel kKernels[] = {SinusoidKernel::best, SinusoidKernel::thread_per_number,
                                       SinusoidKernel::thread_per_angle};

// As in tests/zeta/sinusoid_test.cpp.
Tolerance wave(Index position) { return float_sum_of(2, 2 + static_cast<double>(position)); }

// 3, 10, 17, ...
Buffer<int, 1> positions_of(Index T) {
  Buffer<int, 1> positions({T});
  for (Index t = 0; t < T; ++t) positions.view()(t) = static_cast<int>(3 + 7 * t);
  return positions;
}

class CudaSinusoid : public CudaTest {
 protected:
  static void expect_matches_reference(Index T, Index E) {
    const auto before = random<float, 2>({T, E}, 1);
    auto expected = random<float, 2>({T, E}, 1);
    const auto positions = positions_of(T);
    sinusoid(reference, positions.view(), 0.75f, expected.view());
    const cuda::Stream stream;
    const auto positions_there = to_device(stream, positions.view());
    for (SinusoidKernel kernel : kKernels) {
      auto of_device = to_device(stream, before.view()), of_host = to_device(stream, before.view());
      sinusoid(stream, positions_there.view(), 0.75f, of_device.view(), kernel);
      sinusoid(stream, positions.view(), 0.75f, of_host.view(), kernel);
      const auto y = to_host(stream, of_device.view());
      EXPECT_TRUE(close(y.view(), expected.view(), twice(wave(3 + 7 * T))))
          << "T = " << T << ", E = " << E << ", kernel " << static_cast<int>(kernel);
      EXPECT_TRUE(close(to_host(stream, of_host.view()).view(), y.view(), kExact));
    }
  }
};

TEST_F(CudaSinusoid, EveryKernelMatchesReference) {
  for (Index E : {2, 6, 10, 254, 256, 258, 512}) expect_matches_reference(3, E);
  for (Index T : {1, 7, 255, 257}) expect_matches_reference(T, 10);
}

TEST_F(CudaSinusoid, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const auto three = positions_of(3), two = positions_of(2);
  cuda::DeviceBuffer<float, 2> y({3, 4}), odd({3, 5});
  EXPECT_THROW(sinusoid(stream, two.view(), 1, y.view()), ContractError);
  EXPECT_THROW(sinusoid(stream, three.view(), 1, odd.view()), ContractError);
  const DeviceView<float, 2> window(y.view().data(), {3, 2}, {4, 1});
  EXPECT_THROW(sinusoid(stream, three.view(), 1, window), ContractError);
}

}  // namespace
}  // namespace paligemma
