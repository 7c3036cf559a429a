// What CUDA C++ promises, kernel by kernel. On a GPU the same tests ask the hardware.
#include <string>
#include <vector>

#include "cuda/core/gpu.h"
#include "tests/support/cuda_test.h"

namespace paligemma::cuda {
namespace {

class Language : public test::CudaTest {
 protected:
  // What the kernel wrote, one number per thread, in every order of threads.
  template <class... P>
  std::vector<int> run(dim3 grid, dim3 block, void (*kernel)(int*, P...),
                       std::type_identity_t<P>... arguments) {
    const Stream stream;
    const auto n = static_cast<Index>(grid.x * grid.y * grid.z * block.x * block.y * block.z);
    std::vector<int> first;
    test::in_every_order([&] {
      DeviceBuffer<int, 1> y({n});
      launch({grid, block, 0, stream}, kernel, y.view().data(), arguments...);
      const auto host = to_host(stream, y.view());
      const std::vector<int> numbers(host.view().data(), host.view().data() + n);
      if (first.empty()) first = numbers;
      EXPECT_EQ(numbers, first);
    });
    return first;
  }
};

__global__ void where_am_i(int* y) {
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  y[block * threads + thread] =
      static_cast<int>(threadIdx.x + 10 * threadIdx.y + 100 * threadIdx.z +
                       1000 * (blockIdx.x + 10 * blockIdx.y + 100 * blockIdx.z));
}
TEST_F(Language, NumbersThreadsAndBlocksXFirst) {
  const auto y = run({2, 3, 4}, {5, 3, 2}, where_am_i);
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 1);
  EXPECT_EQ(y[5], 10);
  EXPECT_EQ(y[15], 100);
  EXPECT_EQ(y[30], 1000);
  EXPECT_EQ(y[60], 10000);
  EXPECT_EQ(y.back(), 321124);
}

__global__ void shuffles(int* y, int kind, int by, int width) {
  const int lane = static_cast<int>(threadIdx.x);
  const int v = 100 + lane;
  int got = 0;
  if (kind == 0) got = __shfl_sync(~0u, v, by, width);
  if (kind == 1) got = __shfl_xor_sync(~0u, v, by, width);
  if (kind == 2) got = __shfl_up_sync(~0u, v, static_cast<unsigned>(by), width);
  if (kind == 3) got = __shfl_down_sync(~0u, v, static_cast<unsigned>(by), width);
  y[lane] = got - 100;
}
// CUDA C++ Programming Guide, "Warp Shuffle Functions".
TEST_F(Language, ShufflesWithinSegmentsOfAWarp) {
  for (int width : {2, 8, 32}) {
    for (int by : {0, 1, 3, 7, 31}) {
      const auto at = run(1, 32, shuffles, 0, by, width), x = run(1, 32, shuffles, 1, by, width),
                 up = run(1, 32, shuffles, 2, by, width), down = run(1, 32, shuffles, 3, by, width);
      for (int i = 0; i < 32; ++i) {
        const int first = i / width * width, end = first + width;
        EXPECT_EQ(at[i], first + by % width);
        EXPECT_EQ(x[i], (i ^ by) < end ? i ^ by : i);
        EXPECT_EQ(up[i], i - by >= first ? i - by : i);
        EXPECT_EQ(down[i], i + by < end ? i + by : i);
      }
    }
  }
}

__global__ void votes(int* y) {
  const int lane = static_cast<int>(threadIdx.x);
  const unsigned even = 0x5555'5555u;
  int seen = 0;
  if (lane % 2 == 0) seen = static_cast<int>(__ballot_sync(even, lane < 8));  // lanes 0, 2, 4, 6
  seen += __any_sync(~0u, lane == 31) != 0 ? 1000 : 0;
  seen += __all_sync(~0u, lane < 31) != 0 ? 10000 : 0;
  y[lane] = seen;
}
TEST_F(Language, CountsTheVotesOfTheMasksLanesOnly) {
  const auto y = run(1, 32, votes);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(y[i], 1000 + (i % 2 == 0 ? 0x55 : 0));
}

// A block of 40 threads: the second warp has eight lanes.
__global__ void last_warp(int* y) {
  const unsigned mask = threadIdx.x < 32 ? ~0u : 0xffu;
  y[threadIdx.x] = __shfl_xor_sync(mask, static_cast<int>(threadIdx.x), 1);
}
TEST_F(Language, LetsAnIncompleteWarpShuffle) {
  const auto y = run(1, 40, last_warp);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(y[i], i ^ 1);
}

__global__ void atomics(int* y) {
  __shared__ int sum, largest, smallest, taken;
  if (threadIdx.x == 0) sum = 0, largest = -1, smallest = 1000, taken = -1;
  __syncthreads();
  const int me = static_cast<int>(threadIdx.x);
  atomicAdd(&sum, me);
  atomicMax(&largest, me);
  atomicMin(&smallest, me);
  atomicCAS(&taken, -1, 7);
  __syncthreads();
  y[me] = sum + 10000 * largest + 1000000 * smallest + 10000000 * taken;
}
TEST_F(Language, DoesAtomicsOneAfterAnother) {
  const auto y = run(1, 96, atomics);
  EXPECT_EQ(y[0], 95 * 96 / 2 + 10000 * 95 + 70000000);
}

// Two halves of the block meet at barriers of their own.
__global__ void named_barriers(int* y) {
  __shared__ int s[128];
  const int me = static_cast<int>(threadIdx.x), half = me / 64;
  s[me] = me;
  bar_sync(1 + half, 64);
  y[me] = s[half * 64 + 63 - me % 64];
}
TEST_F(Language, LetsHalfABlockMeetAtANamedBarrier) {
  const auto y = run(1, 128, named_barriers);
  for (int i = 0; i < 128; ++i) EXPECT_EQ(y[i], i / 64 * 64 + 63 - i % 64);
}

struct Two {
  int a[64];
  int b[64];
};
__global__ void dynamic(int* y) {
  Two& s = *dynamic_shared<Two>();
  const int me = static_cast<int>(threadIdx.x);
  s.a[me] = me, s.b[me] = 100 * me;
  __syncthreads();
  y[blockIdx.x * 64 + threadIdx.x] = s.a[63 - me] + s.b[63 - me];
}
TEST_F(Language, GivesEachBlockItsDynamicSharedMemory) {
  const Stream stream;
  DeviceBuffer<int, 1> y({192});
  launch({3, 64, sizeof(Two), stream}, dynamic, y.view().data());
  const auto host = to_host(stream, y.view());
  for (int i = 0; i < 192; ++i) EXPECT_EQ(host.view()(i), 101 * (63 - i % 64));
}

// Sums in two phases, with all blocks meeting between them.
__global__ void two_phases(const float* x, float* partial, float* y, unsigned* arrived, int n) {
  float* s = dynamic_shared<float>();
  float v = 0;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < static_cast<unsigned>(n);
       i += gridDim.x * blockDim.x) {
    v += x[i];
  }
  s[threadIdx.x] = v;
  __syncthreads();
  if (threadIdx.x == 0) {
    float sum = 0;
    for (unsigned i = 0; i < blockDim.x; ++i) sum += s[i];
    partial[blockIdx.x] = sum;
  }
  grid_sync(arrived);
  if (threadIdx.x == 0) {
    float sum = s[0] * 0;  // still this block's own
    for (unsigned i = 0; i < gridDim.x; ++i) sum += partial[i];
    y[blockIdx.x] = sum;
  }
}
TEST_F(Language, LetsTheBlocksOfACooperativeLaunchMeet) {
  const Stream stream;
  Buffer<float, 1> x({1000});
  for (int i = 0; i < 1000; ++i) x.view()(i) = static_cast<float>(i);
  const auto x_there = to_device(stream, x.view());
  DeviceBuffer<unsigned, 1> arrived({1});
  fill_bytes(stream, arrived.view().data(), 0, 4);
  for (int again = 0; again < 2; ++again) {
    DeviceBuffer<float, 1> partial({5}), y({5});
    launch_cooperative({5, 64, 64 * sizeof(float), stream}, two_phases, x_there.view().data(),
                       partial.view().data(), y.view().data(), arrived.view().data(), 1000);
    const auto host = to_host(stream, y.view());
    for (int i = 0; i < 5; ++i) EXPECT_EQ(host.view()(i), 499500);
  }
}

TEST_F(Language, CopiesRowsOnTheDevice) {
  const Stream stream;
  const auto x = test::random<float, 2>({3, 5}, 1);
  const auto there = to_device(stream, x.view());
  DeviceBuffer<float, 2> y({3, 5});
  copy(stream, there.view(), y.view());
  EXPECT_TRUE(test::close(to_host(stream, y.view()).view(), x.view(), test::kExact));
  EXPECT_THROW(copy(stream, there.view(), y.view().rows(0, 2)), ContractError);
}

// A model's scratch finds its memory by the executor (tensor/buffer.h).
TEST_F(Language, KeepsAStreamsActivationsOnTheDevice) {
  static_assert(std::is_same_v<BufferOn<Stream, float, 2>, DeviceBuffer<float, 2>>);
  static_assert(std::is_same_v<BufferOn<Reference, float, 2>, Buffer<float, 2>>);
}

}  // namespace
}  // namespace paligemma::cuda
