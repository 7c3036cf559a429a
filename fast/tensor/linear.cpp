#include "fast/tensor/linear.h"

#include "fast/core/processor.h"
#include "fast/tensor/linear/kernels.h"

namespace paligemma {
namespace {

template <class Weight>
void multiply(View<const float, 2> x, View<const Weight, 2> weight, const Weight* bias,
              View<float, 2> y) {
  PG_CHECK(weight.size(1) == x.size(1), "x " + shape_text(x) + ", weight " + shape_text(weight));
  PG_CHECK(y.size(0) == x.size(0) && y.size(1) == weight.size(0),
           "x " + shape_text(x) + ", weight " + shape_text(weight) + ", y " + shape_text(y));
  PG_CHECK(x.is_row_major() && weight.is_row_major() && y.stride()[1] == 1,
           "rows must be contiguous");
  const LinearWork<Weight> work{x.data(),  weight.data(),  bias,      y.data(),
                                x.size(0), weight.size(0), x.size(1), y.stride()[0]};
  switch (instruction_set()) {
#if defined(__x86_64__)
    case InstructionSet::avx512:
      return linear_avx512(work);
    case InstructionSet::avx2:
      return linear_avx2(work);
#endif
    default:
      return linear_portable(work);
  }
}

}  // namespace

template <class Weight>
void linear(Fast, View<const float, 2> x, View<const Weight, 2> weight, View<float, 2> y) {
  multiply<Weight>(x, weight, nullptr, y);
}

template <class Weight>
void linear(Fast, View<const float, 2> x, View<const Weight, 2> weight, View<const Weight, 1> bias,
            View<float, 2> y) {
  PG_CHECK(bias.size(0) == weight.size(0),
           "weight " + shape_text(weight) + ", bias " + shape_text(bias));
  multiply(x, weight, bias.data(), y);
}

#define PG_LINEAR_OF(Weight)                                                                     \
  template void linear(Fast, View<const float, 2>, View<const Weight, 2>, View<float, 2>);       \
  template void linear(Fast, View<const float, 2>, View<const Weight, 2>, View<const Weight, 1>, \
                       View<float, 2>);
PG_LINEAR_OF(float)
PG_LINEAR_OF(bf16)
PG_LINEAR_OF(f16)
#undef PG_LINEAR_OF

}  // namespace paligemma
