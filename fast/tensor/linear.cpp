#include "fast/tensor/linear.h"

#include "fast/core/kernels.h"
#include "fast/tensor/linear_layer.h"

namespace paligemma {
namespace {

void run(const Fast& on, const LinearWork<float>& work) { on.kernels().linear.f32(on, work); }
void run(const Fast& on, const LinearWork<bf16>& work) { on.kernels().linear.bf16(on, work); }
void run(const Fast& on, const LinearWork<f16>& work) { on.kernels().linear.f16(on, work); }

}  // namespace

template <class Weight>
void linear(const Fast& on, View<const float, 2> x, const Linear<HostWeights<Weight>>& w,
            View<float, 2> y, const Epilogue<HostWeights<Weight>>& epilogue) {
  check_linear(x, w, x.size(1), y, epilogue);
  run_layer(on, x, w, y, epilogue, [&](const LinearWork<Weight>& work) { run(on, work); });
}

template void linear(const Fast&, View<const float, 2>, const Linear<HostWeights<float>>&,
                     View<float, 2>, const Epilogue<HostWeights<float>>&);
template void linear(const Fast&, View<const float, 2>, const Linear<HostWeights<bf16>>&,
                     View<float, 2>, const Epilogue<HostWeights<bf16>>&);
template void linear(const Fast&, View<const float, 2>, const Linear<HostWeights<f16>>&,
                     View<float, 2>, const Epilogue<HostWeights<f16>>&);

}  // namespace paligemma
