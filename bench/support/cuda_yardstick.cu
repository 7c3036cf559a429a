#include <algorithm>

#include "bench/support/cuda_yardstick.h"
#include "cuda/core/gpu.h"

namespace paligemma::bench {
namespace {

constexpr int kThreads = 256;

// What was read, mixed: a value that depends on every load, so that none can be left out.
template <int loads>
__device__ unsigned read_all(const uint4* p, Index n) {
  const Index threads = Index{gridDim.x} * kThreads;
  unsigned seen = 0;
  for (Index i = Index{blockIdx.x} * kThreads + threadIdx.x; i < n; i += loads * threads) {
    uint4 got[loads];
#pragma unroll
    for (int k = 0; k < loads; ++k) {
      const Index at = i + k * threads;
      got[k] = at < n ? p[at] : uint4{};
    }
#pragma unroll
    for (int k = 0; k < loads; ++k) seen ^= got[k].x ^ got[k].y ^ got[k].z ^ got[k].w;
  }
  return seen;
}

template <int loads>
__global__ void move_kernel(const uint4* weights, Index n_weights, const uint4* in, Index n_in,
                            uint4* out, Index n_out) {
  const unsigned seen = read_all<loads>(weights, n_weights) ^ read_all<loads>(in, n_in);
  const Index threads = Index{gridDim.x} * kThreads;
  for (Index i = Index{blockIdx.x} * kThreads + threadIdx.x; i < n_out; i += threads) {
    out[i] = uint4{seen, seen, seen, seen};
  }
}

__device__ unsigned scrambled(Index i, unsigned seed) {
  unsigned h = static_cast<unsigned>(i) * 0x9e3779b9u + seed * 0x85ebca6bu;
  h = (h ^ (h >> 16)) * 0x7feb352du;
  h = (h ^ (h >> 15)) * 0x846ca68bu;
  return h ^ (h >> 16);
}
__device__ float uniform(unsigned bits) { return static_cast<float>(bits >> 8) * 0x1p-23f - 1.0f; }

struct AsFloat {
  using Stored = float;
  __device__ static Stored number(unsigned bits) { return uniform(bits); }
};
struct AsBf16 {
  using Stored = std::uint16_t;
  __device__ static Stored number(unsigned bits) {
    return static_cast<Stored>(__float_as_uint(uniform(bits)) >> 16);
  }
};
struct AsF16 {
  using Stored = std::uint16_t;
  __device__ static Stored number(unsigned bits) {
    return static_cast<Stored>(0x3800u | (bits & 0x83ffu));  // any sign and fraction, exponent -1
  }
};

template <class As>
__global__ void fill_kernel(typename As::Stored* p, Index count, unsigned seed) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i < count) p[i] = As::number(scrambled(i, seed));
}

template <class As, class T>
void fill(const cuda::Stream& stream, T* p, Index count, unsigned seed) {
  static_assert(sizeof(T) == sizeof(typename As::Stored));
  if (count == 0) return;
  cuda::launch({cuda::blocks_for(count, kThreads), kThreads, 0, stream}, fill_kernel<As>,
               reinterpret_cast<typename As::Stored*>(p), count, seed);
}

}  // namespace

void move_bytes(const cuda::Stream& stream, int loads, int processors, Bytes weights, Bytes in,
                DeviceView<unsigned char, 1> out) {
  constexpr Index kPack = sizeof(uint4), kBlocksPerProcessor = 8;
  const Index packs = std::max(weights.count() + in.count(), out.count()) / kPack;
  const unsigned blocks = cuda::blocks_for(
      std::clamp(packs, Index{1}, processors * kBlocksPerProcessor * kThreads * loads),
      kThreads * loads);
  const auto run = [&](auto kernel) {
    cuda::launch({blocks, kThreads, 0, stream}, kernel,
                 reinterpret_cast<const uint4*>(weights.data()), weights.count() / kPack,
                 reinterpret_cast<const uint4*>(in.data()), in.count() / kPack,
                 reinterpret_cast<uint4*>(out.data()), out.count() / kPack);
  };
  if (loads == 1) return run(move_kernel<1>);
  if (loads == 4) return run(move_kernel<4>);
  PG_CHECK(loads == 8, std::to_string(loads) + " loads");
  run(move_kernel<8>);
}

void fill_random(const cuda::Stream& stream, float* p, Index count, unsigned seed) {
  fill<AsFloat>(stream, p, count, seed);
}
void fill_random(const cuda::Stream& stream, bf16* p, Index count, unsigned seed) {
  fill<AsBf16>(stream, p, count, seed);
}
void fill_random(const cuda::Stream& stream, f16* p, Index count, unsigned seed) {
  fill<AsF16>(stream, p, count, seed);
}

}  // namespace paligemma::bench
