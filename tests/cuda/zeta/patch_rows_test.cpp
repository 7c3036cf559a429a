#include "cuda/zeta/patch_rows.h"

#include "tests/support/cuda_test.h"
#include "zeta/patch_rows.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::PatchRowsKernel;

class CudaPatchRows : public CudaTest {
 protected:
  static void expect_matches_reference(Index side, Index P, Index C, PatchRowsKernel kernel) {
    const auto pixels = random<float, 3>({side * P, side * P, C}, 1);
    Buffer<float, 2> expected({side * side, P * P * C});
    patch_rows(reference, pixels.view(), P, expected.view());
    const cuda::Stream stream;
    const auto there = to_device(stream, pixels.view());
    cuda::DeviceBuffer<float, 2> y_there(expected.view().shape());
    patch_rows(stream, there.view(), P, y_there.view(), kernel);
    EXPECT_TRUE(close(to_host(stream, y_there.view()).view(), expected.view(), kExact))
        << "side = " << side << ", P = " << P << ", C = " << C;
  }
};

// 6 x 6 patches of 8 are the board's; the others are no whole blocks.
TEST_F(CudaPatchRows, ThreadPerNumberMatchesReference) {
  for (Index side : {1, 2, 3, 7})
    expect_matches_reference(side, 5, 3, PatchRowsKernel::thread_per_number);
  for (Index C : {1, 7, 255, 257})
    expect_matches_reference(2, 2, C, PatchRowsKernel::thread_per_number);
  expect_matches_reference(6, 8, 3, PatchRowsKernel::thread_per_number);
}

TEST_F(CudaPatchRows, ThreadPerPackMatchesReference) {
  for (Index side : {1, 2, 3, 7})
    expect_matches_reference(side, 4, 3, PatchRowsKernel::thread_per_pack);
  for (Index C : {2, 6, 258}) expect_matches_reference(2, 2, C, PatchRowsKernel::thread_per_pack);
  for (Index P : {8, 32}) expect_matches_reference(6, P, 3, PatchRowsKernel::thread_per_pack);
}

TEST_F(CudaPatchRows, BestMatchesReference) {
  for (Index P : {1, 2, 3, 4, 8}) expect_matches_reference(3, P, 3, PatchRowsKernel::best);
}

TEST_F(CudaPatchRows, BestTakesPicturesThatStartAnywhere) {
  const auto numbers = random<float, 1>({49}, 1);
  Buffer<float, 2> expected({1, 48});
  patch_rows(reference, View<const float, 3>(numbers.view().data() + 1, {4, 4, 3}), 4,
             expected.view());
  const cuda::Stream stream;
  const auto there = to_device(stream, numbers.view());
  cuda::DeviceBuffer<float, 2> y_there({1, 48});
  patch_rows(stream, DeviceView<const float, 3>(there.view().data() + 1, {4, 4, 3}), 4,
             y_there.view());
  EXPECT_TRUE(close(to_host(stream, y_there.view()).view(), expected.view(), kExact));
}

TEST_F(CudaPatchRows, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 3> pixels({4, 4, 1}), wide({4, 6, 1});
  cuda::DeviceBuffer<float, 2> y({4, 4}), short_y({3, 4}), narrow_y({4, 3}), one({1, 9});
  const auto run = [&](const auto& p, Index P, auto& to, auto kernel) {
    patch_rows(stream, p.view(), P, to.view(), kernel);
  };
  EXPECT_THROW(run(wide, 2, y, PatchRowsKernel::best), ContractError);
  EXPECT_THROW(run(pixels, 0, y, PatchRowsKernel::best), ContractError);
  EXPECT_THROW(run(pixels, 3, one, PatchRowsKernel::best), ContractError);
  EXPECT_THROW(run(pixels, 2, short_y, PatchRowsKernel::best), ContractError);
  EXPECT_THROW(run(pixels, 2, narrow_y, PatchRowsKernel::best), ContractError);
  EXPECT_THROW(run(pixels, 2, y, PatchRowsKernel::thread_per_pack), ContractError);
  const DeviceView<const float, 3> turned(pixels.view().data(), {4, 4, 1}, {1, 4, 1});
  EXPECT_THROW(patch_rows(stream, turned, 2, y.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
