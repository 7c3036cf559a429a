#include "fast/tensor/linear.h"

#include "fast/core/kernels.h"
#include "fast/tensor/linear_layer.h"

namespace paligemma {
namespace {

void run(const Fast& on, const LinearWork<float>& work) { on.kernels().linear.f32(on, work); }
void run(const Fast& on, const LinearWork<bf16>& work) { on.kernels().linear.bf16(on, work); }
void run(const Fast& on, const LinearWork<f16>& work) { on.kernels().linear.f16(on, work); }

void run(const Fast& on, const ProductWork<float>& work) { on.kernels().backward.f32(on, work); }
void run(const Fast& on, const ProductWork<bf16>& work) { on.kernels().backward.bf16(on, work); }
void run(const Fast& on, const ProductWork<f16>& work) { on.kernels().backward.f16(on, work); }

}  // namespace

template <class Weight>
void linear(const Fast& on, View<const float, 2> x, const Linear<HostWeights<Weight>>& w,
            View<float, 2> y, const Epilogue<HostWeights<Weight>>& epilogue) {
  check_linear(x, w, x.size(1), y, epilogue);
  run_layer(on, x, w, y, epilogue, [&](const LinearWork<Weight>& work) { run(on, work); });
}

template <class Weight>
void linear_backward(const Fast& on, View<const float, 2> x, const Linear<HostWeights<Weight>>& w,
                     View<const float, 2> dy, View<float, 2> dx, const Linear<HostGradients>& dw) {
  const Index T = x.size(0), I = x.size(1), O = w.weight.size(0);
  check_linear_backward(x, w, I, dy, dx, dw);
  if (dx.data() != nullptr) {
    run(on, ProductWork<Weight>{dy.data(), O, 1, w.weight.data(), dx.data(), T, O, I});
  }
  if (dw.weight.data() != nullptr) {
    run(on, ProductWork<float>{dy.data(), 1, O, x.data(), dw.weight.data(), O, T, I});
  }
  linear_backward(reference, x, Linear<HostWeights<Weight>>{w.weight}, dy, {}, {{}, dw.bias});
  if (w.adapter != nullptr) lora_backward(on, x, *w.adapter, dy, dx, dw.adapter);
}

template void linear_backward(const Fast&, View<const float, 2>, const Linear<HostWeights<float>>&,
                              View<const float, 2>, View<float, 2>, const Linear<HostGradients>&);
template void linear_backward(const Fast&, View<const float, 2>, const Linear<HostWeights<bf16>>&,
                              View<const float, 2>, View<float, 2>, const Linear<HostGradients>&);
template void linear_backward(const Fast&, View<const float, 2>, const Linear<HostWeights<f16>>&,
                              View<const float, 2>, View<float, 2>, const Linear<HostGradients>&);

template void linear(const Fast&, View<const float, 2>, const Linear<HostWeights<float>>&,
                     View<float, 2>, const Epilogue<HostWeights<float>>&);
template void linear(const Fast&, View<const float, 2>, const Linear<HostWeights<bf16>>&,
                     View<float, 2>, const Epilogue<HostWeights<bf16>>&);
template void linear(const Fast&, View<const float, 2>, const Linear<HostWeights<f16>>&,
                     View<float, 2>, const Epilogue<HostWeights<f16>>&);

}  // namespace paligemma
