#include "tensor/linear.h"

#include <omp.h>

#include "tensor/buffer.h"
#include "tensor/dot.h"
#include "tensor/linear_epilogue.h"

namespace paligemma {
namespace {

template <class Weight>
void products(View<const float, 2> x, const Linear<HostWeights<Weight>>& w, View<float, 2> sums) {
  const Index T = x.size(0), I = x.size(1), O = w.weight.size(0);

  // One for each thread; made here, since what is thrown inside a parallel loop cannot be caught outside.
  Buffer<float, 2> weight_rows({omp_get_max_threads(), I}, unwritten);
#pragma omp parallel for
  for (Index o = 0; o < O; ++o) {
    // Widen the row once, then meet every token with it.
    const auto weight_row = weight_rows.view().row(omp_get_thread_num());
    for (Index i = 0; i < I; ++i) weight_row(i) = widen(w.weight(o, i));
    const float bias = w.bias.data() != nullptr ? widen(w.bias(o)) : 0.0f;
    for (Index t = 0; t < T; ++t) sums(t, o) = dot(x.row(t).data(), weight_row.data(), I) + bias;
  }
}

}  // namespace

template <class Weight>
void linear(Reference, View<const float, 2> x, const Linear<HostWeights<Weight>>& w,
            View<float, 2> y, const Epilogue<HostWeights<Weight>>& epilogue) {
  check_linear(x, w, x.size(1), y, epilogue);
  with_epilogue(x, w, epilogue, y,
                [&](const auto& layer, View<float, 2> sums) { products<Weight>(x, layer, sums); });
}

template <class Weight>
void linear_backward(Reference, View<const float, 2> x, const Linear<HostWeights<Weight>>& w,
                     View<const float, 2> dy, View<float, 2> dx, const Linear<HostGradients>& dw) {
  const Index T = x.size(0), I = x.size(1), O = w.weight.size(0);
  check_linear_backward(x, w, I, dy, dx, dw);
  const auto add = [](float factor, const auto& row, float* sum, Index n) {
    for (Index i = 0; i < n; ++i) sum[i] += factor * widen(row[i]);
  };
  if (dx.data() != nullptr) {
#pragma omp parallel for
    for (Index t = 0; t < T; ++t) {
      for (Index o = 0; o < O; ++o) add(dy(t, o), &w.weight(o, 0), &dx(t, 0), I);
    }
  }
  if (dw.weight.data() != nullptr) {
#pragma omp parallel for
    for (Index o = 0; o < O; ++o) {
      for (Index t = 0; t < T; ++t) add(dy(t, o), &x(t, 0), &dw.weight(o, 0), I);
    }
  }
  if (dw.bias.data() != nullptr) {
    for (Index t = 0; t < T; ++t) add(1, &dy(t, 0), &dw.bias(0), O);
  }
  if (w.adapter != nullptr) lora_backward(reference, x, *w.adapter, dy, dx, dw.adapter);
}

template void linear_backward(Reference, View<const float, 2>, const Linear<HostWeights<float>>&,
                              View<const float, 2>, View<float, 2>, const Linear<HostGradients>&);
template void linear_backward(Reference, View<const float, 2>, const Linear<HostWeights<bf16>>&,
                              View<const float, 2>, View<float, 2>, const Linear<HostGradients>&);
template void linear_backward(Reference, View<const float, 2>, const Linear<HostWeights<f16>>&,
                              View<const float, 2>, View<float, 2>, const Linear<HostGradients>&);

template void linear(Reference, View<const float, 2>, const Linear<HostWeights<float>>&,
                     View<float, 2>, const Epilogue<HostWeights<float>>&);
template void linear(Reference, View<const float, 2>, const Linear<HostWeights<bf16>>&,
                     View<float, 2>, const Epilogue<HostWeights<bf16>>&);
template void linear(Reference, View<const float, 2>, const Linear<HostWeights<f16>>&,
                     View<float, 2>, const Epilogue<HostWeights<f16>>&);

}  // namespace paligemma
