// Kernels with one planted fault each in their use of memory. Some are reported where every access to
// memory is checked, some by the sanitizers, and some show as another result in another order of
// threads. docs/cuda/emulation.md has the table.
#include <cmath>

#include "cuda/emulation/sanitizer.h"
#include "tests/support/faults.h"

namespace paligemma::cuda {
namespace {

class MemoryFaults : public Faults {};

// ---- races ------------------------------------------------------------------------------------------

__global__ void read_after_write(float* y) {
  __shared__ float s[64];
  s[threadIdx.x] = static_cast<float>(threadIdx.x);
  y[threadIdx.x] = s[63 - threadIdx.x];  // a barrier is missing before
}
TEST_F(MemoryFaults, AMissingBarrierBetweenWriteAndRead) {
  if (is_checked()) {
    EXPECT_SAYS("shared memory that", 64, 0, read_after_write, y());
    EXPECT_SAYS("memory_faults_test.cu:", 64, 0, read_after_write, y());
  } else {
    EXPECT_TRUE(differs_in_some_order([](unsigned i) { return 63.0f - static_cast<float>(i); },
                                      read_after_write));
  }
}

__global__ void write_after_read(float* y) {
  __shared__ float s[64];
  s[threadIdx.x] = static_cast<float>(threadIdx.x);
  __syncthreads();
  y[threadIdx.x] = s[63 - threadIdx.x];
  s[threadIdx.x] = 0;  // a barrier is missing before
}
TEST_F(MemoryFaults, AMissingBarrierBetweenReadAndWrite) {
  if (is_checked()) {
    EXPECT_SAYS("with no barrier between", 64, 0, write_after_read, y());
  } else {
    EXPECT_TRUE(differs_in_some_order([](unsigned i) { return 63.0f - static_cast<float>(i); },
                                      write_after_read));
  }
}

__global__ void without_syncwarp(float* y) {
  __shared__ float s[32];
  s[threadIdx.x] = 1;
  y[threadIdx.x] = s[threadIdx.x ^ 1];
}
__global__ void shuffle_is_no_fence(float* y) {
  __shared__ float s[32];
  s[threadIdx.x] = 1;
  y[threadIdx.x] = __shfl_xor_sync(~0u, 1.0f, 1) + s[threadIdx.x ^ 1];
}
__global__ void with_syncwarp(float* y) {
  __shared__ float s[32];
  s[threadIdx.x] = 1;
  __syncwarp();
  y[threadIdx.x] = s[threadIdx.x ^ 1];
}
TEST_F(MemoryFaults, AMissingSyncwarp) {
  NEEDS_CHECKED_KERNELS();
  EXPECT_EQ(error_of(32, 0, with_syncwarp, y()), "");
  EXPECT_SAYS("shared memory that", 32, 0, without_syncwarp, y());
  EXPECT_SAYS("with no barrier between", 32, 0, shuffle_is_no_fence, y());
}

__global__ void plain_counter(float* y) {
  __shared__ float s;
  if (threadIdx.x == 0) s = 0;
  __syncthreads();
  s += 1;
  __syncthreads();
  y[threadIdx.x] = s;
}
__global__ void atomic_counter(float* y) {
  __shared__ float s;
  if (threadIdx.x == 0) s = 0;
  __syncthreads();
  atomicAdd(&s, 1.0f);
  __syncthreads();
  y[threadIdx.x] = s;
}
TEST_F(MemoryFaults, ACounterThatIsNotAtomic) {
  NEEDS_CHECKED_KERNELS();
  EXPECT_EQ(error_of(64, 0, atomic_counter, y()), "");
  EXPECT_SAYS("with no barrier between", 64, 0, plain_counter, y());
}

__global__ void copy_not_awaited(const float* x, float* y) {
  __shared__ __align__(16) float s[256];
  cp_async_16(&s[threadIdx.x * 4], x);
  cp_async_commit();
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
__global__ void copy_without_barrier(const float* x, float* y) {
  __shared__ __align__(16) float s[256];
  cp_async_16(&s[threadIdx.x * 4], x);
  cp_async_commit();
  cp_async_wait<0>();
  y[threadIdx.x] = s[threadIdx.x];
}
__global__ void copy_while_read(const float* x, float* y) {
  __shared__ __align__(16) float s[256];
  for (int i = 0; i < 4; ++i) s[threadIdx.x * 4 + i] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
  cp_async_16(&s[threadIdx.x * 4], x);
  cp_async_commit();
  cp_async_wait<0>();
}
TEST_F(MemoryFaults, CpAsyncThatIsReadTooEarlyOrWritesTooEarly) {
  NEEDS_CHECKED_KERNELS();
  EXPECT_SAYS("is filling by cp.async", 64, 0, copy_not_awaited, x(), y());
  EXPECT_SAYS("shared memory that", 64, 0, copy_without_barrier, x(), y());
  EXPECT_SAYS("with no barrier between", 64, 0, copy_while_read, x(), y());
}

// ---- values that nobody wrote -------------------------------------------------------------------------

__global__ void unwritten_static(float* y) {
  __shared__ float s[64];
  if (threadIdx.x != 5) s[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
TEST_F(MemoryFaults, StaticSharedMemoryThatNobodyWrote) {
  NEEDS_CHECKED_KERNELS();
  EXPECT_SAYS("thread (5,0,0)", 64, 0, unwritten_static, y());
  EXPECT_SAYS("reads shared memory that no thread has written", 64, 0, unwritten_static, y());
}

__global__ void unwritten_dynamic(float* y) {
  float* s = dynamic_shared<float>();
  if (threadIdx.x != 5) s[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
TEST_F(MemoryFaults, DynamicSharedMemoryThatNobodyWrote) {
  if (is_checked()) {
    EXPECT_SAYS("that no thread has written", 64, 256, unwritten_dynamic, y());
  } else {
    EXPECT_EQ(error_of(64, 256, unwritten_dynamic, y()), "");
    EXPECT_TRUE(std::isnan(numbers_of_y()[5]));
    EXPECT_EQ(numbers_of_y()[6], 1);
  }
}

__global__ void copies(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }
TEST_F(MemoryFaults, DeviceMemoryThatNobodyWrote) {
  const DeviceBuffer<float, 1> fresh({64});
  if (is_checked()) {
    EXPECT_SAYS("reads device memory that nobody has written", 64, 0, copies, fresh.view().data(),
                y());
  } else {
    EXPECT_EQ(error_of(64, 0, copies, fresh.view().data(), y()), "");
    EXPECT_TRUE(std::isnan(numbers_of_y()[0]));
  }
}

// ---- accesses out of bounds ---------------------------------------------------------------------------

__global__ void beyond_static(float* y, int n) {
  __shared__ float s[64];
  for (int i = threadIdx.x; i < n; i += blockDim.x) s[i] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
template <int N>
__global__ void beyond_static_of_a_template(float* y, int n) {
  __shared__ float s[N];
  for (int i = threadIdx.x; i < n; i += blockDim.x) s[i] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
struct Two {
  float a[64], b[64];
};
__global__ void beyond_member(float* y, int n) {
  Two& s = *dynamic_shared<Two>();
  s.b[threadIdx.x] = 2;
  for (int i = threadIdx.x; i < n; i += blockDim.x) s.a[i] = 1;
  __syncthreads();
  y[threadIdx.x] = s.a[threadIdx.x];
}
__global__ void beyond_dynamic(float* y, int n) {
  float* s = dynamic_shared<float>();
  for (int i = threadIdx.x; i < n; i += blockDim.x) s[i] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
__global__ void beyond_device_memory(float* y) { y[threadIdx.x + 1] = 1; }
__global__ void misaligned(float* y) {
  *reinterpret_cast<float4*>(y + 1) = make_float4(1, 2, 3, 4);
}
__global__ void overflow(float* y, int n) { y[threadIdx.x] = static_cast<float>(n * n); }

TEST_F(MemoryFaults, SanitizersSeeAccessesOutOfBounds) {
  if (!emulation::kAddressSanitizer) GTEST_SKIP() << "seen only by the address sanitizer";
  GTEST_FLAG_SET(death_test_style, "fast");
  EXPECT_DEATH(error_of(64, 0, beyond_static, y(), 65), "overflow|out of bounds");
  EXPECT_DEATH(error_of(64, 0, beyond_static_of_a_template<64>, y(), 65), "overflow|out of bounds");
  EXPECT_DEATH(error_of(64, sizeof(Two), beyond_member, y(), 65), "out of bounds");
  EXPECT_DEATH(error_of(64, 256, beyond_dynamic, y(), 65), "use-after-poison|overflow");
  EXPECT_DEATH(error_of(64, 0, beyond_device_memory, y()), "use-after-poison|overflow");
  EXPECT_DEATH(error_of(1, 0, misaligned, y()), "misaligned");
  EXPECT_DEATH(error_of(1, 0, overflow, y(), 65536), "signed integer overflow");
}

TEST_F(MemoryFaults, TheCheckSeesAccessesBeyondDynamicSharedAndDeviceMemory) {
  NEEDS_CHECKED_KERNELS();
  EXPECT_SAYS("touches dynamic shared memory at byte 256 of 256", 64, 256, beyond_dynamic, y(), 65);
  EXPECT_SAYS("writes device memory at byte 256 of 256", 64, 0, beyond_device_memory, y());
}

}  // namespace
}  // namespace paligemma::cuda
