#include "cuda/gemma/geglu.h"

#include "gemma/geglu.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::GegluKernel;

// As a GELU of numbers up to 4 (tests/cuda/tensor/gelu_test.cpp), times numbers up to 1.
constexpr Tolerance kGeglu{20 * kUnitRoundoff, 16 * kUnitRoundoff * 4};

class CudaGeglu : public CudaTest {
 protected:
  static void expect_matches_reference(Index T, Index F, GegluKernel kernel) {
    auto gate = random<float, 2>({T, F}, 1);
    for (Index i = 0; i < T * F; ++i) gate.view().data()[i] *= 4;
    const auto up = random<float, 2>({T, F}, 2);
    const cuda::Stream stream;
    const auto gate_there = to_device(stream, gate.view()), up_there = to_device(stream, up.view());
    for (GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
      Buffer<float, 2> expected({T, F});
      geglu(reference, form, gate.view(), up.view(), expected.view());
      cuda::DeviceBuffer<float, 2> y_there({T, F});
      geglu(stream, form, gate_there.view(), up_there.view(), y_there.view(), kernel);
      const auto y = to_host(stream, y_there.view());
      EXPECT_TRUE(close(y.view(), expected.view(), kGeglu)) << "T = " << T << ", F = " << F;
    }
  }
};

TEST_F(CudaGeglu, ThreadPerNumberMatchesReference) {
  for (Index F : {1, 7, 255, 257, 16384}) {
    expect_matches_reference(2, F, GegluKernel::thread_per_number);
  }
}

TEST_F(CudaGeglu, ThreadPerPackMatchesReference) {
  for (Index F : {4, 256, 1020, 1028, 16384}) {
    expect_matches_reference(2, F, GegluKernel::thread_per_pack);
  }
}

TEST_F(CudaGeglu, BestMatchesReference) {
  for (Index F : {1, 7, 255, 257, 16384}) expect_matches_reference(2, F, GegluKernel::best);
}

TEST_F(CudaGeglu, BestTakesRowsThatStartAnywhere) {
  const auto gate = random<float, 2>({1, 8}, 1), whole = random<float, 2>({1, 9}, 2);
  const View<const float, 2> up(whole.view().data() + 1, {1, 8});
  Buffer<float, 2> expected({1, 8});
  geglu(reference, GeluForm::tanh, gate.view(), up, expected.view());
  const cuda::Stream stream;
  const auto gate_there = to_device(stream, gate.view()), there = to_device(stream, whole.view());
  const DeviceView<const float, 2> up_there(there.view().data() + 1, {1, 8});
  cuda::DeviceBuffer<float, 2> y_there({1, 8});
  geglu(stream, GeluForm::tanh, gate_there.view(), up_there, y_there.view());
  const auto y = to_host(stream, y_there.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kGeglu));
}

TEST_F(CudaGeglu, MayWriteOverEither) {
  const auto gate = random<float, 2>({3, 8}, 1), up = random<float, 2>({3, 8}, 2);
  Buffer<float, 2> expected({3, 8});
  geglu(reference, GeluForm::tanh, gate.view(), up.view(), expected.view());
  const cuda::Stream stream;
  for (bool over_gate : {false, true}) {
    auto gate_there = to_device(stream, gate.view()), up_there = to_device(stream, up.view());
    auto& y_there = over_gate ? gate_there : up_there;
    geglu(stream, GeluForm::tanh, gate_there.view(), up_there.view(), y_there.view());
    const auto y = to_host(stream, y_there.view());
    EXPECT_TRUE(close(y.view(), expected.view(), kGeglu));
  }
}

TEST_F(CudaGeglu, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> gate({2, 7}), other({7, 2});
  cuda::DeviceBuffer<float, 2> y({2, 7});
  EXPECT_THROW(geglu(stream, GeluForm::tanh, gate.view(), other.view(), y.view()), ContractError);
  EXPECT_THROW(geglu(stream, GeluForm::tanh, gate.view(), gate.view(), y.view(),
                     GegluKernel::thread_per_pack),
               ContractError);
}

}  // namespace
}  // namespace paligemma
