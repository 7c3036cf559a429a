#include "tensor/linear.h"

#include <omp.h>

#include "tensor/buffer.h"
#include "tensor/dot.h"

namespace paligemma {

template <class Weight>
void linear(Reference, View<const float, 2> x, View<const Weight, 2> weight, View<float, 2> y) {
  const Index T = x.size(0), I = x.size(1), O = weight.size(0);
  PG_CHECK(weight.size(1) == I, "x " + shape_text(x) + ", weight " + shape_text(weight));
  PG_CHECK(y.size(0) == T && y.size(1) == O,
           "x " + shape_text(x) + ", weight " + shape_text(weight) + ", y " + shape_text(y));
  PG_CHECK(x.is_row_major() && weight.is_row_major(), "rows must be contiguous");

  // One for each thread; made here, since what is thrown inside a parallel loop cannot be caught outside.
  Buffer<float, 2> weight_rows({omp_get_max_threads(), I});
#pragma omp parallel for
  for (Index o = 0; o < O; ++o) {
    // Widen the row once, then meet every token with it.
    const auto weight_row = weight_rows.view().row(omp_get_thread_num());
    for (Index i = 0; i < I; ++i) weight_row(i) = widen(weight(o, i));
    for (Index t = 0; t < T; ++t) y(t, o) = dot(x.row(t).data(), weight_row.data(), I);
  }
}

template <class Weight>
void linear(Reference, View<const float, 2> x, View<const Weight, 2> weight,
            View<const Weight, 1> bias, View<float, 2> y) {
  PG_CHECK(bias.size(0) == weight.size(0),
           "weight " + shape_text(weight) + ", bias " + shape_text(bias));
  linear(reference, x, weight, y);
  for (Index t = 0; t < y.size(0); ++t) {
    for (Index o = 0; o < y.size(1); ++o) y(t, o) += widen(bias(o));
  }
}

template void linear(Reference, View<const float, 2>, View<const float, 2>, View<float, 2>);
template void linear(Reference, View<const float, 2>, View<const bf16, 2>, View<float, 2>);
template void linear(Reference, View<const float, 2>, View<const f16, 2>, View<float, 2>);
template void linear(Reference, View<const float, 2>, View<const float, 2>, View<const float, 1>,
                     View<float, 2>);
template void linear(Reference, View<const float, 2>, View<const bf16, 2>, View<const bf16, 1>,
                     View<float, 2>);
template void linear(Reference, View<const float, 2>, View<const f16, 2>, View<const f16, 1>,
                     View<float, 2>);

}  // namespace paligemma
