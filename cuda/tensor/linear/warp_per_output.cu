#include "cuda/core/row_dots.h"
#include "cuda/tensor/linear/kernels.h"

namespace paligemma::cuda {
namespace {

constexpr int kRows = 2;  // of weights, for a warp
constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpSize;
// On a multiprocessor, at least: up to 168 registers for a thread. The emulation has no use for it.
[[maybe_unused]] constexpr int kBlocksEach = 3;

// Kernel 3, warp_per_output. With a few tokens there are but a few operations per weight, so what
// counts is to ask memory for enough at once: a warp owns two rows of weights and reads them straight
// into registers, four packs of 16 bytes of each row under way in every lane. The tokens, which all
// warps share, come from L1. Without kBlocksEach nvcc saves registers, and lets each pack wait for the
// one before it.
template <bool Packed, int Tokens, class Weight>
__global__ void __launch_bounds__(kThreads, kBlocksEach) linear_warp_per_output(Product<Weight> p) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const Index o0 = (Index{blockIdx.x} * kWarps + threadIdx.x / kWarpSize) * kRows;
  const Index t0 = Index{blockIdx.y} * Tokens;
  if (o0 >= p.O) return;  // whole warps only

  // Beyond the last row or token, the last one once more.
  const Weight* rows[kRows];
  const float* tokens[Tokens];
  for (int r = 0; r < kRows; ++r) rows[r] = p.weight + min(o0 + r, p.O - 1) * p.I;
  for (int t = 0; t < Tokens; ++t) tokens[t] = p.x + min(t0 + t, p.T - 1) * p.I;
  float sum[kRows][Tokens];
  row_dots<Packed>(rows, tokens, p.I, sum);

  // Every lane has all sums; each ends one.
  for (int r = 0; r < kRows; ++r) {
    for (int t = 0; t < Tokens; ++t) {
      if (lane == r * Tokens + t && o0 + r < p.O && t0 + t < p.T) {
        p.epilogue(t0 + t, o0 + r, sum[r][t]);
      }
    }
  }
}

template <int Tokens, class Weight>
void launch_for(const Stream& stream, const Product<Weight>& p) {
  const dim3 grid(blocks_for(p.O, kRows * kWarps), blocks_for(p.T, Tokens));
  launch({grid, kThreads, 0, stream},
         p.is_packable() ? linear_warp_per_output<true, Tokens, Weight>
                         : linear_warp_per_output<false, Tokens, Weight>,
         p);
}

}  // namespace

template <class Weight>
void linear_warp_per_output(const Stream& stream, const Product<Weight>& p) {
  return p.T == 1 ? launch_for<1>(stream, p) : launch_for<4>(stream, p);
}

template void linear_warp_per_output(const Stream&, const Product<float>&);
template void linear_warp_per_output(const Stream&, const Product<bf16>&);
template void linear_warp_per_output(const Stream&, const Product<f16>&);

}  // namespace paligemma::cuda
