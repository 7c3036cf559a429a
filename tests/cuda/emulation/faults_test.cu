// Kernels with one planted fault each that the emulation reports always: waits that nothing ends, warps
// whose lanes disagree, launches that no GPU takes. docs/cuda/emulation.md has the table of all.
#include "tests/support/faults.h"

namespace paligemma::cuda {
namespace {

// ---- barriers and warps -----------------------------------------------------------------------------

__global__ void ends_before_a_barrier(float* y, int n) {
  if (static_cast<int>(threadIdx.x) >= n) return;
  __syncthreads();
  y[threadIdx.x] = 1;
}
TEST_F(Faults, ThreadsThatEndBeforeABarrier) {
  EXPECT_SAYS("is stuck", 64, 0, ends_before_a_barrier, y(), 40);
  EXPECT_SAYS("threads 0 to 39 wait at __syncthreads faults_test.cu:", 64, 0, ends_before_a_barrier,
              y(), 40);
  EXPECT_SAYS("threads 40 to 63 ended", 64, 0, ends_before_a_barrier, y(), 40);
}

__global__ void barrier_in_two_branches(float* y) {
  if (threadIdx.x < 32) {
    y[threadIdx.x] = 1;
    __syncthreads();
  } else {
    y[threadIdx.x] = 2;
    __syncthreads();
  }
}
TEST_F(Faults, TwoBarriersWhereThereShouldBeOne) {
  EXPECT_SAYS("divergent __syncthreads", 64, 0, barrier_in_two_branches, y());
}

__global__ void barrier_in_some_warps(float* y) {
  if (threadIdx.x < 32) __syncthreads();
  y[threadIdx.x] = 1;
}
TEST_F(Faults, ABarrierThatHalfTheWarpsReach) {
  EXPECT_SAYS("is stuck", 64, 0, barrier_in_some_warps, y());
}

__global__ void named_barrier_with_too_few(float* y) {
  if (threadIdx.x < 32) bar_sync(1, 64);
  y[threadIdx.x] = 1;
}
TEST_F(Faults, ANamedBarrierThatTooFewReach) {
  EXPECT_SAYS("wait at bar.sync", 64, 0, named_barrier_with_too_few, y());
}

__global__ void shuffle_from_absent(float* y) {
  float v = 1;
  if (threadIdx.x < 16) v = __shfl_sync(0xffff, v, 20);
  y[threadIdx.x] = v;
}
TEST_F(Faults, AShuffleFromALaneThatTakesNoPart) {
  EXPECT_SAYS("shuffles from lane 20, which takes no part", 32, 0, shuffle_from_absent, y());
}

__global__ void shuffle_outside_mask(float* y) {
  y[threadIdx.x] = __shfl_xor_sync(0xffff, 1.0f, 1);
}
TEST_F(Faults, ALaneThatItsOwnMaskLeavesOut) {
  EXPECT_SAYS("leaves it out", 32, 0, shuffle_outside_mask, y());
}

__global__ void lanes_disagree(float* y) {
  if (threadIdx.x % 2 == 1) {
    y[threadIdx.x] = __shfl_xor_sync(~0u, 1.0f, 2);
  } else {
    y[threadIdx.x] = static_cast<float>(__ballot_sync(~0u, 1));
  }
}
TEST_F(Faults, LanesAtDifferentOperations) { EXPECT_SAYS("disagree", 32, 0, lanes_disagree, y()); }

__global__ void shuffle_in_branch(float* y) {
  if (threadIdx.x % 2 == 1) y[threadIdx.x] = __shfl_xor_sync(~0u, 1.0f, 2);
  if (threadIdx.x % 2 == 0) __syncthreads();
}
TEST_F(Faults, AShuffleThatHalfTheLanesReach) {
  EXPECT_SAYS("is stuck", 32, 0, shuffle_in_branch, y());
}

__global__ void waits_for_the_grid(float* y, unsigned* arrived) {
  if (blockIdx.x == 0) grid_sync(arrived);
  y[threadIdx.x] = 1;
}
TEST_F(Faults, AGridBarrierThatSomeBlocksReachOrThatIsNotCooperative) {
  EXPECT_SAYS("needs launch_cooperative", 32, 0, waits_for_the_grid, y(), nullptr);
  EXPECT_THROW(launch_cooperative({2, 32, 0, stream_}, waits_for_the_grid, y(), nullptr),
               CudaError);
}

// ---- launches and instructions ----------------------------------------------------------------------

__global__ void writes_one(float* y) { y[threadIdx.x] = 1; }
TEST_F(Faults, LaunchesThatNoGpuTakes) {
  EXPECT_SAYS("no GPU can launch this", 1025, 0, writes_one, y());
  EXPECT_SAYS("no GPU can launch this", 0, 0, writes_one, y());
  EXPECT_SAYS("faults.h:", 32, 1 << 20, writes_one, y());
  EXPECT_THROW(launch({0, 32, 0, stream_}, writes_one, y()), CudaError);
  EXPECT_THROW(launch({dim3(1, 65536), 32, 0, stream_}, writes_one, y()), CudaError);
}

struct Big {
  float a[1000];
};
__global__ void wants_more(float* y) { y[threadIdx.x] = dynamic_shared<Big>()->a[0]; }
TEST_F(Faults, MoreDynamicSharedMemoryThanTheLaunchGave) {
  EXPECT_SAYS("wants 4000 bytes of dynamic shared memory, its launch gave 256", 32, 256, wants_more,
              y());
}

__global__ void misaligned_ldmatrix(float* y) {
  __shared__ __align__(16) unsigned short s[33 * 8];
  for (unsigned i = threadIdx.x; i < 33 * 8; i += 32) s[i] = 0;
  __syncthreads();
  unsigned r[4];
  ldmatrix_x4(r, s + threadIdx.x * 8 + 1);
  y[threadIdx.x] = static_cast<float>(r[0]);
}
TEST_F(Faults, LdmatrixOfAMisalignedRow) {
  EXPECT_SAYS("no multiple of 16", 32, 0, misaligned_ldmatrix, y());
}

__global__ void misaligned_copy(const float* x, float* y) {
  __shared__ __align__(16) float s[256];
  cp_async_16(&s[threadIdx.x * 4], x + 1);
  y[threadIdx.x] = 0;
}
TEST_F(Faults, CpAsyncFromAMisalignedAddress) {
  EXPECT_SAYS("no multiple of 16", 32, 0, misaligned_copy, x(), y());
}

// A tile of 88 rows of 128 bytes, copied and multiplied with itself.
struct WgmmaTile {
  bf16 at[88][64];
};
__global__ void forgets_a_fence(const float* x, float* y, bool proxy_fence, bool register_fence,
                                int offset) {
  WgmmaTile& tile = *dynamic_shared<WgmmaTile>();
  for (unsigned i = threadIdx.x; i < 88 * 8; i += 128) cp_async_16(&tile.at[i / 8][i % 8 * 8], x);
  cp_async_commit();
  cp_async_wait<0>();
  if (proxy_fence) fence_proxy_async();
  __syncthreads();
  float sum[44] = {};
  if (register_fence) wgmma_fence();
  const auto rows = wgmma_tile(&tile.at[offset][0]);
  wgmma_64x88(sum, rows, rows);
  wgmma_commit();
  wgmma_wait<0>(sum);
  y[threadIdx.x % 64] = sum[0];
}
TEST_F(Faults, WgmmaWithoutItsFencesOrOfATileThatIsMisaligned) {
  constexpr unsigned kBytes = sizeof(WgmmaTile);
  EXPECT_SAYS("128 threads have no fence_proxy_async", 128, kBytes, forgets_a_fence, x(), y(),
              false, true, 0);
  EXPECT_SAYS("needs a wgmma_fence", 128, kBytes, forgets_a_fence, x(), y(), true, false, 0);
  EXPECT_SAYS("not at a multiple of 1024", 128, kBytes, forgets_a_fence, x(), y(), true, true, 1);
}

TEST_F(Faults, CopiesBeyondTheEndOfDeviceMemory) {
  std::vector<float> host(65);
  EXPECT_THROW(copy_to_host(stream_, host.data(), y(), 65 * sizeof(float)), CudaError);
  EXPECT_THROW(copy_to_device(stream_, y(), host.data(), 65 * sizeof(float)), CudaError);
  EXPECT_THROW(copy_to_host(stream_, host.data(), host.data(), 4), CudaError);
}

// After all these failures the emulation is as good as new.
TEST_F(Faults, LeaveNothingBehind) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(error_of(64, 0, ends_before_a_barrier, y(), 40), "");
    EXPECT_EQ(error_of(64, 0, ends_before_a_barrier, y(), 64), "");
  }
  for (float f : numbers_of_y()) EXPECT_EQ(f, 1);
}

}  // namespace
}  // namespace paligemma::cuda
