#include "cuda/gemma/repeat_kv.h"

#include "gemma/repeat_kv.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::RepeatKvKernel;

class CudaRepeatKv : public CudaTest {
 protected:
  static void expect_matches_reference(Index S, Index K, Index N, Index H, RepeatKvKernel kernel) {
    const auto x = random<float, 3>({S, K, H}, 1);
    Buffer<float, 3> expected({S, N, H});
    repeat_kv(reference, x.view(), expected.view());
    const cuda::Stream stream;
    const auto x_there = to_device(stream, x.view());
    cuda::DeviceBuffer<float, 3> y_there({S, N, H});
    repeat_kv(stream, x_there.view(), y_there.view(), kernel);
    const auto y = to_host(stream, y_there.view());
    EXPECT_TRUE(close(y.view(), expected.view(), kExact))
        << "S = " << S << ", K = " << K << ", N = " << N << ", H = " << H;
  }
};

// 256 is Gemma's head size, 12 the golden checkpoint's.
TEST_F(CudaRepeatKv, ThreadPerNumberMatchesReference) {
  for (Index H : {1, 7, 12, 255, 256, 257}) {
    expect_matches_reference(3, 2, 4, H, RepeatKvKernel::thread_per_number);
  }
  for (Index S : {1, 7, 255, 257}) {
    expect_matches_reference(S, 2, 4, 3, RepeatKvKernel::thread_per_number);
  }
}

TEST_F(CudaRepeatKv, ThreadPerPackMatchesReference) {
  for (Index H : {4, 12, 252, 256, 260}) {
    expect_matches_reference(3, 2, 4, H, RepeatKvKernel::thread_per_pack);
  }
  for (Index S : {1, 7, 255, 257}) {
    expect_matches_reference(S, 2, 4, 4, RepeatKvKernel::thread_per_pack);
  }
}

// Every PaliGemma's heads, and those of a tower that shares none.
TEST_F(CudaRepeatKv, TakesTheModelsHeads) {
  for (auto kernel :
       {RepeatKvKernel::best, RepeatKvKernel::thread_per_number, RepeatKvKernel::thread_per_pack}) {
    for (const auto& [K, N] : {std::array<Index, 2>{1, 8}, {4, 8}, {8, 16}, {16, 32}, {16, 16}}) {
      expect_matches_reference(2, K, N, 72, kernel);
    }
  }
}

TEST_F(CudaRepeatKv, BestTakesRowsThatStartAnywhere) {
  const auto whole = random<float, 3>({4, 1, 4}, 1);
  const View<const float, 3> x(whole.view().data() + 3, {3, 1, 4});
  Buffer<float, 3> expected({3, 2, 4});
  repeat_kv(reference, x, expected.view());
  const cuda::Stream stream;
  const auto there = to_device(stream, whole.view());
  cuda::DeviceBuffer<float, 3> y_there({3, 2, 4});
  repeat_kv(stream, {there.view().data() + 3, {3, 1, 4}}, y_there.view());
  const auto y = to_host(stream, y_there.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));
}

TEST_F(CudaRepeatKv, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 3> x({3, 2, 6}), none({3, 0, 6});
  cuda::DeviceBuffer<float, 3> y({3, 4, 6}), odd({3, 5, 6}), short_y({2, 4, 6}), narrow({3, 4, 5});
  EXPECT_THROW(repeat_kv(stream, x.view(), odd.view()), ContractError);
  EXPECT_THROW(repeat_kv(stream, x.view(), short_y.view()), ContractError);
  EXPECT_THROW(repeat_kv(stream, x.view(), narrow.view()), ContractError);
  EXPECT_THROW(repeat_kv(stream, none.view(), y.view()), ContractError);
  EXPECT_THROW(repeat_kv(stream, x.view(), y.view(), RepeatKvKernel::thread_per_pack),
               ContractError);
  const DeviceView<const float, 3> misaligned(x.view().data() + 3, {3, 1, 4});
  cuda::DeviceBuffer<float, 3> packs({3, 2, 4});
  EXPECT_THROW(repeat_kv(stream, misaligned, packs.view(), RepeatKvKernel::thread_per_pack),
               ContractError);
  const DeviceView<float, 3> strided(y.view().data(), {3, 2, 6}, {24, 12, 1});
  EXPECT_THROW(repeat_kv(stream, x.view(), strided), ContractError);
}

}  // namespace
}  // namespace paligemma
