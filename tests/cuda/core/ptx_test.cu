// Conformance: each instruction that cuda/core/ptx.h wraps, on random bits, against the PTX ISA's
// definition, written here once more. Under emulation this tests the emulation; on a GPU it tests
// what the emulation claims of it.
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "cuda/core/gpu.h"
#include "tests/support/cuda_test.h"

namespace paligemma::cuda {
namespace {

using Bits = Buffer<std::uint32_t, 1>;

class Ptx : public test::CudaTest {
 protected:
  static Bits random_bits(Index n, unsigned seed) {
    std::mt19937 next(seed);
    Bits bits({n});
    for (Index i = 0; i < n; ++i) bits.view()(i) = static_cast<std::uint32_t>(next());
    return bits;
  }
  static std::uint32_t half_of(View<const std::uint32_t, 1> bits, Index i) {
    return bits(i / 2) >> (i % 2 * 16) & 0xffff;
  }

  void SetUp() override {
    CudaTest::SetUp();
    if (!IsSkipped()) stream_.emplace();  // there is none without a GPU
  }

  std::optional<Stream> stream_;
};

// ---- ldmatrix -------------------------------------------------------------------------------------

// Four 8x8 matrices of 16-bit numbers, one behind the other.
__global__ void loads_matrices(const std::uint32_t* x, std::uint32_t* y, bool transposed) {
  __shared__ __align__(16) std::uint32_t s[128];
  for (unsigned i = threadIdx.x; i < 128; i += 32) s[i] = x[i];
  __syncthreads();
  unsigned r[4];
  if (transposed) {
    ldmatrix_x4_trans(r, &s[threadIdx.x * 4]);
  } else {
    ldmatrix_x4(r, &s[threadIdx.x * 4]);
  }
  for (int m = 0; m < 4; ++m) y[threadIdx.x * 4 + m] = r[m];
}
TEST_F(Ptx, LdmatrixSpreadsMatricesOverALane) {
  const auto x = random_bits(128, 1);
  const auto x_there = to_device(*stream_, x.view());
  for (bool transposed : {false, true}) {
    DeviceBuffer<std::uint32_t, 1> y_there({128});
    launch({1, 32, 0, *stream_}, loads_matrices, x_there.view().data(), y_there.view().data(),
           transposed);
    const auto y = to_host(*stream_, y_there.view());
    for (Index lane = 0; lane < 32; ++lane) {
      for (Index m = 0; m < 4; ++m) {
        for (Index h = 0; h < 2; ++h) {
          const Index row = lane / 4, column = lane % 4 * 2 + h;
          const Index from = transposed ? column * 8 + row : row * 8 + column;
          EXPECT_EQ(half_of(y.view(), (lane * 4 + m) * 2 + h), half_of(x.view(), m * 64 + from));
        }
      }
    }
  }
}

// ---- mma.sync -------------------------------------------------------------------------------------

// a is 16x16 and b^T 8x16, both row-major bf16; c and d are 16x8. The lanes load them by hand.
__global__ void multiplies(const bf16* a, const bf16* b, const float* c, float* d) {
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4 * 2;
  const auto pair = [](const bf16* p) {
    return p[0].bits | static_cast<unsigned>(p[1].bits) << 16;
  };
  const unsigned ra[4] = {pair(a + g * 16 + t), pair(a + (g + 8) * 16 + t),
                          pair(a + g * 16 + t + 8), pair(a + (g + 8) * 16 + t + 8)};
  const unsigned rb[2] = {pair(b + g * 16 + t), pair(b + g * 16 + t + 8)};
  float rd[4];
  for (int r = 0; r < 4; ++r) rd[r] = c[(g + r / 2 * 8) * 8 + t + r % 2];
  mma_bf16(rd, ra, rb);
  for (int r = 0; r < 4; ++r) d[(g + r / 2 * 8) * 8 + t + r % 2] = rd[r];
}
// Products of bf16 are exact in float. How a GPU rounds their sum is not stated; each of 17 addends
// may lose what lies below the last bit of the largest, so the error is measured against them.
TEST_F(Ptx, MmaMultipliesTiles) {
  for (unsigned seed = 1; seed < 20; ++seed) {
    const auto a = test::random<bf16, 2>({16, 16}, seed),
               b = test::random<bf16, 2>({8, 16}, 99 + seed);
    const auto c = test::random<float, 2>({16, 8}, 999 + seed);
    const auto a_there = to_device(*stream_, a.view()), b_there = to_device(*stream_, b.view());
    const auto c_there = to_device(*stream_, c.view());
    DeviceBuffer<float, 2> d_there({16, 8});
    launch({1, 32, 0, *stream_}, multiplies, a_there.view().data(), b_there.view().data(),
           c_there.view().data(), d_there.view().data());
    const auto d = to_host(*stream_, d_there.view());
    for (Index m = 0; m < 16; ++m) {
      for (Index n = 0; n < 8; ++n) {
        double sum = c.view()(m, n), magnitude = std::abs(sum);
        for (Index k = 0; k < 16; ++k) {
          const double product = double{widen(a.view()(m, k))} * widen(b.view()(n, k));
          sum += product;
          magnitude += std::abs(product);
        }
        EXPECT_NEAR(d.view()(m, n), sum, 2 * 17 * test::kUnitRoundoff * magnitude);
      }
    }
  }
}

// ---- cp.async -------------------------------------------------------------------------------------

// A pipeline of four groups: the first two are awaited first. Odd lanes copy zeros.
__global__ void copies_in_groups(const std::uint32_t* x, std::uint32_t* y) {
  __shared__ __align__(16) std::uint32_t s[4][128];
  const bool valid = threadIdx.x % 2 == 0;
  for (int group = 0; group < 4; ++group) {
    cp_async_16(&s[group][threadIdx.x * 4], x + group * 128 + threadIdx.x * 4, valid);
    cp_async_commit();
  }
  cp_async_wait<2>();
  __syncthreads();
  for (int i = 0; i < 8; ++i) y[i * 32 + threadIdx.x] = (&s[0][0])[i * 32 + threadIdx.x];
  cp_async_wait<0>();
  __syncthreads();
  for (int i = 8; i < 16; ++i) y[i * 32 + threadIdx.x] = (&s[0][0])[i * 32 + threadIdx.x];
}
TEST_F(Ptx, CpAsyncCopiesOrFillsWithZeros) {
  const auto x = random_bits(512, 1);
  const auto x_there = to_device(*stream_, x.view());
  test::in_every_order([&] {
    DeviceBuffer<std::uint32_t, 1> y_there({512});
    launch({1, 32, 0, *stream_}, copies_in_groups, x_there.view().data(), y_there.view().data());
    const auto y = to_host(*stream_, y_there.view());
    for (Index i = 0; i < 512; ++i) EXPECT_EQ(y.view()(i), i / 4 % 2 == 0 ? x.view()(i) : 0);
  });
}

// ---- cvt ------------------------------------------------------------------------------------------

__global__ void packs(const float* x, std::uint32_t* y) {
  const unsigned i = blockIdx.x * 64 + threadIdx.x;
  y[i] = pack_bf16(x[2 * i], x[2 * i + 1]);
}
TEST_F(Ptx, PackRoundsTiesToEvenAndKnowsOneNaN) {
  constexpr Index kPairs = 1 << 14;
  auto bits = random_bits(2 * kPairs, 1);
  for (Index i = 0; i < kPairs; i += 4) {
    bits.view()(i) = (bits.view()(i) & 0xffff'0000u) | 0x8000u;  // halfway between two bf16
  }
  bits.view()(1) = 0x7f80'0000u, bits.view()(2) = 0x7f80'0001u, bits.view()(3) = 0x7f7f'ffffu;
  Buffer<float, 1> x({2 * kPairs});
  for (Index i = 0; i < 2 * kPairs; ++i) {
    x.view()(i) = __builtin_bit_cast(float, bits.view()(i));
  }
  const auto x_there = to_device(*stream_, x.view());
  DeviceBuffer<std::uint32_t, 1> y_there({kPairs});
  launch({blocks_for(kPairs, 64), 64, 0, *stream_}, packs, x_there.view().data(),
         y_there.view().data());
  const auto y = to_host(*stream_, y_there.view());
  for (Index i = 0; i < 2 * kPairs; ++i) {
    const float v = x.view()(i);
    const std::uint32_t expected = std::isnan(v) ? 0x7fff : narrow<bf16>(v).bits;
    ASSERT_EQ(half_of(y.view(), i), expected) << bits.view()(i);
  }
}

// ---- bank conflicts -------------------------------------------------------------------------------

// Rows that are `stride` numbers of 16 bits apart.
__global__ void loads_rows(std::uint32_t* y, int stride) {
  __shared__ __align__(16) unsigned short s[32 * 72];
  for (unsigned i = threadIdx.x; i < 32 * 72; i += 32) s[i] = 0;
  __syncthreads();
  unsigned r[4];
  ldmatrix_x4(r, &s[static_cast<int>(threadIdx.x) * stride]);
  y[threadIdx.x] = r[0];
}
TEST_F(Ptx, EmulationCountsRowsInTheSameBank) {
  if (!is_emulated()) GTEST_SKIP() << "a GPU's profiler counts them";
  DeviceBuffer<std::uint32_t, 1> y({32});
  take_ldmatrix_conflicts();
  launch({1, 32, 0, *stream_}, loads_rows, y.view().data(), 72);  // 64 and a padding of 16 bytes
  EXPECT_EQ(take_ldmatrix_conflicts(), 0);
  launch({1, 32, 0, *stream_}, loads_rows, y.view().data(), 64);  // every row in the same banks
  EXPECT_EQ(take_ldmatrix_conflicts(), 28);
}

}  // namespace
}  // namespace paligemma::cuda
