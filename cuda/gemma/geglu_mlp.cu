#include "cuda/core/row_dots.h"
#include "cuda/core/scratch.h"
#include "cuda/gemma/geglu.h"
#include "cuda/gemma/geglu_mlp.h"
#include "cuda/tensor/linear/choice.h"

namespace paligemma::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpSize;

// Kernel 1, warp_per_output. A warp owns one hidden feature: its row of gate and its row of up, which
// meet the tokens together. The two sums are in the same registers when they are multiplied.
template <bool Packed, int Tokens, class Weight>
__global__ void __launch_bounds__(kThreads) geglu_warp_per_output(GatedProduct<Weight> p) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const Index o = Index{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  const Index t0 = Index{blockIdx.y} * Tokens;
  if (o >= p.O) return;  // whole warps only

  const Weight* const rows[2] = {p.gate + o * p.I, p.up + o * p.I};
  const float* tokens[Tokens];  // beyond the last one, the last one once more
  for (int t = 0; t < Tokens; ++t) tokens[t] = p.x + min(t0 + t, p.T - 1) * p.I;
  float sum[2][Tokens];
  row_dots<Packed>(rows, tokens, p.I, sum);

  for (int t = 0; t < Tokens; ++t) {  // every lane has all sums; each ends one
    if (lane == t && t0 + t < p.T) p.y[(t0 + t) * p.O + o] = gelu(p.form, sum[0][t]) * sum[1][t];
  }
}

template <int Tokens, class Weight>
void launch_for(const Stream& stream, const GatedProduct<Weight>& p) {
  launch({dim3(blocks_for(p.O, kWarps), blocks_for(p.T, Tokens)), kThreads, 0, stream},
         p.is_packable() ? geglu_warp_per_output<true, Tokens, Weight>
                         : geglu_warp_per_output<false, Tokens, Weight>,
         p);
}

}  // namespace

template <class Weight>
void linear_geglu(const Stream& stream, DeviceView<const float, 2> x,
                  DeviceView<const Weight, 2> gate, DeviceView<const Weight, 2> up, GeluForm form,
                  DeviceView<float, 2> y, LinearKernel kernel) {
  const auto sizes = [&] {
    return "x " + shape_text(x) + ", gate " + shape_text(gate) + ", up " + shape_text(up) + ", y " +
           shape_text(y);
  };
  PG_CHECK(up.shape() == gate.shape() && gate.size(1) == x.size(1) && y.size(0) == x.size(0) &&
               y.size(1) == gate.size(0),
           sizes());
  PG_CHECK(x.is_row_major() && gate.is_row_major() && up.is_row_major() && y.is_row_major(),
           "strided view");
  if (y.count() == 0) return;

  const GatedProduct<Weight> product{x.data(),  gate.data(),  up.data(),
                                     x.size(0), gate.size(0), static_cast<int>(x.size(1)),
                                     form,      y.data()};
  if (kernel == LinearKernel::best) kernel = best_kernel(stream, product);
  switch (kernel) {
    case LinearKernel::warp_per_output:
      return product.T == 1 ? launch_for<1>(stream, product) : launch_for<4>(stream, product);
    case LinearKernel::tensor_core:
    case LinearKernel::warpgroup:
      PG_CHECK(may_use_tensor_cores(product), "tensor cores want packs of bf16: " + sizes());
      return on_tensor_cores(stream, product, kernel);
    case LinearKernel::thread_per_output:
    case LinearKernel::tiled: {
      const Scratch<float, 2> of_up(stream, y.shape());
      linear(stream, x, Linear{gate}, y, {}, kernel);
      linear(stream, x, Linear{up}, of_up.view(), {}, kernel);
      return geglu(stream, form, y, of_up.view(), y);
    }
    case LinearKernel::best:
      break;  // replaced above
  }
}

template void linear_geglu(const Stream&, DeviceView<const float, 2>, DeviceView<const float, 2>,
                           DeviceView<const float, 2>, GeluForm, DeviceView<float, 2>,
                           LinearKernel);
template void linear_geglu(const Stream&, DeviceView<const float, 2>, DeviceView<const bf16, 2>,
                           DeviceView<const bf16, 2>, GeluForm, DeviceView<float, 2>, LinearKernel);
template void linear_geglu(const Stream&, DeviceView<const float, 2>, DeviceView<const f16, 2>,
                           DeviceView<const f16, 2>, GeluForm, DeviceView<float, 2>, LinearKernel);

}  // namespace paligemma::cuda
