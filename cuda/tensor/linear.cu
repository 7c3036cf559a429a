#include "cuda/core/device_buffer.h"
#include "cuda/core/scratch.h"
#include "cuda/gemma/geglu.h"
#include "cuda/gemma/geglu_mlp.h"
#include "cuda/tensor/gelu.h"
#include "cuda/tensor/linear.h"
#include "cuda/tensor/linear/choice.h"
#include "cuda/tensor/lora.h"
#include "cuda/tensor/residual_add.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;

// Kernel 1, thread_per_output. Thread o of row t walks a row of x and a row of weights. The threads of
// a warp share the token and read 32 rows of weights, I numbers apart.
template <class Weight>
__global__ void linear_thread_per_output(Product<Weight> p) {
  const Index o = Index{blockIdx.x} * kThreads + threadIdx.x, t = blockIdx.y;
  if (o >= p.O) return;
  const float* x = p.x + t * p.I;
  const Weight* weight = p.weight + o * p.I;
  float sum = 0.0f;
  for (int i = 0; i < p.I; ++i) sum += x[i] * widen(weight[i]);
  p.epilogue(t, o, sum);
}

template <class Weight>
void multiply(const Stream& stream, DeviceView<const float, 2> x,
              const Linear<DeviceWeights<Weight>>& w, Ending ending, DeviceView<float, 2> y,
              LinearKernel kernel) {
  const auto& weight = w.weight;
  const auto& bias = w.bias;
  const auto sizes = [&] {
    return "x " + shape_text(x) + ", weight " + shape_text(w.weight) + ", y " + shape_text(y);
  };
  PG_CHECK(weight.size(1) == x.size(1) && y.size(0) == x.size(0) && y.size(1) == weight.size(0),
           sizes());
  PG_CHECK(x.is_row_major() && weight.is_row_major() && y.stride()[1] == 1, "strided view");
  PG_CHECK(bias.data() == nullptr || (bias.size(0) == weight.size(0) && bias.is_row_major()),
           "weight " + shape_text(weight) + ", bias " + shape_text(bias));
  PG_CHECK(w.adapter == nullptr || bias.data() == nullptr, "an adapter has the bias");
  if (y.count() == 0) return;

  const Product<Weight> product{x.data(),
                                weight.data(),
                                x.size(0),
                                weight.size(0),
                                static_cast<int>(x.size(1)),
                                {bias.data(), ending, y.data(), y.stride()[0]}};
  if (kernel == LinearKernel::best) kernel = best_kernel(stream, product);
  switch (kernel) {
    case LinearKernel::thread_per_output:
      return launch(
          {dim3(blocks_for(product.O, kThreads), blocks_for(product.T)), kThreads, 0, stream},
          linear_thread_per_output<Weight>, product);
    case LinearKernel::tiled:
      return linear_tiled(stream, product);
    case LinearKernel::warp_per_output:
      return linear_warp_per_output(stream, product);
    case LinearKernel::tensor_core:
    case LinearKernel::warpgroup:
      PG_CHECK(may_use_tensor_cores(product), "tensor cores want packs of bf16: " + sizes());
      return on_tensor_cores(stream, product, kernel);
    case LinearKernel::best:
      break;  // replaced above
  }
}

// Where a gate is not in the kernel that multiplies, or an adapter comes before the epilogue: kernels of their
// own make y of the sums.
template <class Weight>
void end_apart(const Stream& stream, DeviceView<const float, 2> x,
               const Linear<DeviceWeights<Weight>>& w, DeviceView<float, 2> y,
               const Epilogue<DeviceWeights<Weight>>& epilogue, LinearKernel kernel) {
  const auto sums_of = [&](const Linear<DeviceWeights<Weight>>& layer, DeviceView<float, 2> sums) {
    multiply(stream, x, layer, Ending::store, sums, kernel);
    if (layer.adapter != nullptr) lora(stream, x, *layer.adapter, sums);
  };
  const Scratch<float, 2> sums(stream, y.shape());
  const DeviceView<const float, 2> ended = sums.view();
  sums_of(w, sums.view());
  if (epilogue.gate != nullptr) {
    const Scratch<float, 2> gates(stream, y.shape());
    sums_of(*epilogue.gate, gates.view());
    geglu(stream, *epilogue.activation, gates.view(), ended, sums.view());
  } else if (epilogue.activation) {
    gelu(stream, *epilogue.activation, ended, sums.view());
  }
  epilogue.add ? residual_add(stream, ended, y) : copy(stream, ended, y);
}

}  // namespace

template <class Weight>
void linear(const Stream& stream, DeviceView<const float, 2> x,
            const Linear<DeviceWeights<Weight>>& w, DeviceView<float, 2> y,
            const Epilogue<DeviceWeights<Weight>>& epilogue, LinearKernel kernel) {
  if (epilogue.gate != nullptr) {
    const auto& gate = *epilogue.gate;
    PG_CHECK(epilogue.activation.has_value(), "a gate has an activation");
    if (w.bias.data() || gate.bias.data() || w.adapter || gate.adapter || epilogue.add ||
        !y.is_row_major()) {
      return end_apart(stream, x, w, y, epilogue, kernel);
    }
    return linear_geglu(stream, x, gate.weight, w.weight, *epilogue.activation, y, kernel);
  }
  if (w.adapter != nullptr) return end_apart(stream, x, w, y, epilogue, kernel);
  if (epilogue.activation && epilogue.add) {
    const Scratch<float, 2> bent(stream, y.shape());
    linear(stream, x, w, bent.view(), {.activation = epilogue.activation}, kernel);
    return residual_add(stream, bent.view(), y);
  }
  Ending ending = epilogue.add ? Ending::add : Ending::store;
  if (epilogue.activation == GeluForm::tanh) ending = Ending::gelu_tanh;
  if (epilogue.activation == GeluForm::exact) ending = Ending::gelu_exact;
  multiply(stream, x, w, ending, y, kernel);
}

#define PG_LINEAR_OF(W)                                                             \
  template void linear(const Stream&, DeviceView<const float, 2>, const Linear<W>&, \
                       DeviceView<float, 2>, const Epilogue<W>&, LinearKernel);
PG_LINEAR_OF(DeviceWeights<float>)
PG_LINEAR_OF(DeviceWeights<bf16>)
PG_LINEAR_OF(DeviceWeights<f16>)
#undef PG_LINEAR_OF

}  // namespace paligemma::cuda
