#include "cuda/core/gpu.h"
#include "cuda/core/pack.h"
#include "cuda/tensor/multiply.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;

// Thread i owns number i of x; it reads number i of a, of which there are `period`, over and over. a may be x.
template <class Number>
__global__ void multiply_thread_per_number(const Number* a, Index period, Gate gate, float factor,
                                           float* x, Index n) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  const float by = period == 0 ? 1.0f : gated(gate, widen(a[i % period]));
  x[i] *= factor * by;
}

}  // namespace

template <class Number>
void multiply(const Stream& stream, DeviceView<const Number, 2> a, MultiplyRule rule,
              DeviceView<float, 2> x) {
  const bool alone = a.data() == nullptr;
  PG_CHECK(alone || a.size(1) == x.size(1), "a " + shape_text(a) + ", x " + shape_text(x));
  PG_CHECK(alone || a.size(0) == 1 || a.size(0) == x.size(0),
           "a " + shape_text(a) + ", x " + shape_text(x));
  PG_CHECK((alone || a.is_row_major()) && x.is_row_major(), "strided view");
  const Index n = x.count();
  if (n == 0) return;
  launch({blocks_for(n, kThreads), kThreads, 0, stream}, multiply_thread_per_number<Number>,
         a.data(), a.count(), rule.gate, rule.factor, x.data(), n);
}

template void multiply(const Stream&, DeviceView<const float, 2>, MultiplyRule,
                       DeviceView<float, 2>);
template void multiply(const Stream&, DeviceView<const bf16, 2>, MultiplyRule,
                       DeviceView<float, 2>);
template void multiply(const Stream&, DeviceView<const f16, 2>, MultiplyRule, DeviceView<float, 2>);

}  // namespace paligemma::cuda
