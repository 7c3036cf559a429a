// Conformance: what cuda/core/hopper.h wraps, on random bits, against the PTX ISA's definition, written
// here once more, as ptx_test.cu does it. For compute capability 9.0, and emulated.
#include <cmath>
#include <optional>

#include "cuda/core/gpu.h"
#include "cuda/core/swizzle.h"
#include "tests/support/cuda_test.h"

namespace paligemma::cuda {
namespace {

constexpr int kRows = 64, kTokens = 88, kColumns = 64, kThreads = 128;

class Hopper : public test::CudaTest {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (IsSkipped()) return;
    if (compute_capability() != 90) GTEST_SKIP() << "wgmma is compute capability 9.0's alone";
    stream_.emplace();
  }

  // Products of bf16 are exact in float; each of 1 + terms addends may lose what lies below the last bit
  // of the largest (ptx_test.cu).
  static void expect_product(View<const bf16, 2> a, View<const bf16, 2> b, View<const float, 2> c,
                             Index first, Index end, View<const float, 2> d) {
    for (Index m = 0; m < kRows; ++m) {
      for (Index n = 0; n < kTokens; ++n) {
        double sum = c(m, n), magnitude = std::abs(sum);
        for (Index k = first; k < end; ++k) {
          const double product = double{widen(a(m, k))} * widen(b(n, k));
          sum += product;
          magnitude += std::abs(product);
        }
        const auto addends = static_cast<double>(1 + end - first);
        ASSERT_NEAR(d(m, n), sum, 2 * addends * test::kUnitRoundoff * magnitude)
            << "row " << m << ", column " << n;
      }
    }
  }

  std::optional<Stream> stream_;
};

struct Tiles {
  bf16 a[kRows][kColumns];
  alignas(1024) bf16 b[kTokens][kColumns];
};

template <int Rows>
__device__ void copy_swizzled(bf16 (&tile)[Rows][kColumns], const bf16* from) {
  for (int i = static_cast<int>(threadIdx.x); i < Rows * kColumns; i += kThreads) {
    const int row = i / kColumns, column = i % kColumns;
    tile[row][swizzle_128(row, column / 8) + column % 8] = from[i];
  }
}

// Where a thread's sum i stands in the product.
__device__ int place_of(int i) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int row = warp * 16 + lane / 4 + i % 4 / 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
  return row * kTokens + column;
}

// d = c + a b^T over 16 Steps columns from `first` on, all row-major. The accumulators are c to begin
// with.
template <int Steps>
__global__ void __launch_bounds__(kThreads)
    multiplies(const bf16* a, const bf16* b, const float* c, float* d, int first) {
  Tiles& tiles = *dynamic_shared<Tiles>();
  copy_swizzled(tiles.a, a);
  copy_swizzled(tiles.b, b);
  fence_proxy_async();
  __syncthreads();  // all of both tiles is there
  float sum[kTokens / 2];
  for (int i = 0; i < kTokens / 2; ++i) sum[i] = c[place_of(i)];
  const auto a_tile = wgmma_tile(tiles.a), b_tile = wgmma_tile(tiles.b);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < Steps; ++step) {
    const int k = first + step * 16;
    wgmma_64x88(sum, wgmma_columns(a_tile, k), wgmma_columns(b_tile, k));
  }
  wgmma_commit();
  wgmma_wait<0>(sum);
  for (int i = 0; i < kTokens / 2; ++i) d[place_of(i)] = sum[i];
}
TEST_F(Hopper, WgmmaMultipliesTiles) {
  for (unsigned seed = 1; seed < 4; ++seed) {
    const auto a = test::random<bf16, 2>({kRows, kColumns}, seed);
    const auto b = test::random<bf16, 2>({kTokens, kColumns}, 99 + seed);
    const auto c = test::random<float, 2>({kRows, kTokens}, 999 + seed);
    const auto a_there = to_device(*stream_, a.view()), b_there = to_device(*stream_, b.view());
    const auto c_there = to_device(*stream_, c.view());
    const auto run = [&](auto kernel, int first, int end) {
      DeviceBuffer<float, 2> d_there({kRows, kTokens});
      launch({1, kThreads, sizeof(Tiles), *stream_}, kernel, a_there.view().data(),
             b_there.view().data(), c_there.view().data(), d_there.view().data(), first);
      const auto d = to_host(*stream_, d_there.view());
      expect_product(a.view(), b.view(), c.view(), first, end, d.view());
    };
    for (int first : {0, 16, 32, 48}) run(multiplies<1>, first, first + 16);
    run(multiplies<3>, 16, 64);
    run(multiplies<4>, 0, 64);
  }
}

// Two groups, of which the first is awaited first: its tiles are then overwritten, by cp.async.
__global__ void __launch_bounds__(kThreads)
    multiplies_in_groups(const bf16* a, const bf16* b, float* d, int groups) {
  Tiles* const tiles = *dynamic_shared<Tiles[2]>();
  const auto fill = [&](int group) {
    Tiles& to = tiles[group % 2];
    for (int i = static_cast<int>(threadIdx.x); i < kTokens * 8; i += kThreads) {
      const int row = i / 8, piece = i % 8;
      if (row < kRows) {
        cp_async_16(&to.a[row][swizzle_128(row, piece)],
                    a + ((group * kRows + row) * kColumns + piece * 8));
      }
      cp_async_16(&to.b[row][swizzle_128(row, piece)],
                  b + ((group * kTokens + row) * kColumns + piece * 8));
    }
    cp_async_commit();
  };
  float sum[kTokens / 2] = {};
  fill(0);
  for (int group = 0; group < groups; ++group) {
    cp_async_wait<0>();
    fence_proxy_async();
    wgmma_wait<0>(sum);  // this warpgroup's share of the product before
    __syncthreads();     // and everybody's: its tiles may be overwritten
    if (group + 1 < groups) fill(group + 1);
    wgmma_fence();
    for (int k = 0; k < kColumns; k += 16) {
      wgmma_64x88(sum, wgmma_columns(wgmma_tile(tiles[group % 2].a), k),
                  wgmma_columns(wgmma_tile(tiles[group % 2].b), k));
    }
    wgmma_commit();
  }
  wgmma_wait<0>(sum);
  for (int i = 0; i < kTokens / 2; ++i) d[place_of(i)] = sum[i];
}
TEST_F(Hopper, WgmmaReadsWhatCpAsyncWrote) {
  constexpr int kGroups = 5;
  const auto a = test::random<bf16, 3>({kGroups, kRows, kColumns}, 1);
  const auto b = test::random<bf16, 3>({kGroups, kTokens, kColumns}, 2);
  Buffer<bf16, 2> wide_a({kRows, kGroups * kColumns}), wide_b({kTokens, kGroups * kColumns});
  for (Index g = 0; g < kGroups; ++g) {
    for (Index k = 0; k < kColumns; ++k) {
      for (Index m = 0; m < kRows; ++m) wide_a.view()(m, g * kColumns + k) = a.view()(g, m, k);
      for (Index n = 0; n < kTokens; ++n) wide_b.view()(n, g * kColumns + k) = b.view()(g, n, k);
    }
  }
  const auto a_there = to_device(*stream_, a.view()), b_there = to_device(*stream_, b.view());
  const Buffer<float, 2> zeros({kRows, kTokens});
  test::in_every_order([&] {
    DeviceBuffer<float, 2> d_there({kRows, kTokens});
    launch({1, kThreads, 2 * sizeof(Tiles), *stream_}, multiplies_in_groups, a_there.view().data(),
           b_there.view().data(), d_there.view().data(), kGroups);
    const auto d = to_host(*stream_, d_there.view());
    expect_product(wide_a.view(), wide_b.view(), zeros.view(), 0, kGroups * kColumns, d.view());
  });
}

}  // namespace
}  // namespace paligemma::cuda
