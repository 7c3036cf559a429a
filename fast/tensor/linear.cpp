#include "fast/tensor/linear.h"

#include "fast/core/kernels.h"

namespace paligemma {
namespace {

void run(const Fast& on, const LinearWork<float>& work) { on.kernels().linear.f32(on, work); }
void run(const Fast& on, const LinearWork<bf16>& work) { on.kernels().linear.bf16(on, work); }
void run(const Fast& on, const LinearWork<f16>& work) { on.kernels().linear.f16(on, work); }

template <class Weight>
void multiply(const Fast& on, View<const float, 2> x, View<const Weight, 2> weight,
              View<const Weight, 2> up, View<const Weight, 1> bias, View<float, 2> y, Then then) {
  PG_CHECK(weight.size(1) == x.size(1), "x " + shape_text(x) + ", weight " + shape_text(weight));
  PG_CHECK(up.shape() == weight.shape(), "weight " + shape_text(weight) + ", up " + shape_text(up));
  PG_CHECK(y.size(0) == x.size(0) && y.size(1) == weight.size(0),
           "x " + shape_text(x) + ", weight " + shape_text(weight) + ", y " + shape_text(y));
  PG_CHECK(bias.data() == nullptr || bias.size(0) == weight.size(0),
           "weight " + shape_text(weight) + ", bias " + shape_text(bias));
  PG_CHECK(x.is_row_major() && weight.is_row_major() && up.is_row_major() && y.stride()[1] == 1,
           "rows must be contiguous");
  run(on, LinearWork<Weight>{x.data(), weight.data(), up.data(), bias.data(), y.data(), x.size(0),
                             weight.size(0), x.size(1), y.stride()[0], then});
}

}  // namespace

template <class Weight>
void linear(const Fast& on, View<const float, 2> x, View<const Weight, 2> weight,
            View<float, 2> y) {
  multiply<Weight>(on, x, weight, weight, {}, y, Then::nothing);
}

template <class Weight>
void linear(const Fast& on, View<const float, 2> x, View<const Weight, 2> weight,
            View<const Weight, 1> bias, View<float, 2> y) {
  multiply(on, x, weight, weight, bias, y, Then::nothing);
}

template <class Weight>
void linear_gelu(const Fast& on, View<const float, 2> x, View<const Weight, 2> weight,
                 View<const Weight, 1> bias, View<float, 2> y) {
  multiply(on, x, weight, weight, bias, y, Then::gelu);
}

template <class Weight>
void linear_geglu(const Fast& on, View<const float, 2> x, View<const Weight, 2> gate,
                  View<const Weight, 2> up, View<float, 2> y) {
  multiply<Weight>(on, x, gate, up, {}, y, Then::geglu);
}

#define PG_LINEAR_OF(Weight)                                                                      \
  template void linear(const Fast&, View<const float, 2>, View<const Weight, 2>, View<float, 2>); \
  template void linear(const Fast&, View<const float, 2>, View<const Weight, 2>,                  \
                       View<const Weight, 1>, View<float, 2>);                                    \
  template void linear_gelu(const Fast&, View<const float, 2>, View<const Weight, 2>,             \
                            View<const Weight, 1>, View<float, 2>);                               \
  template void linear_geglu(const Fast&, View<const float, 2>, View<const Weight, 2>,            \
                             View<const Weight, 2>, View<float, 2>);
PG_LINEAR_OF(float)
PG_LINEAR_OF(bf16)
PG_LINEAR_OF(f16)
#undef PG_LINEAR_OF

}  // namespace paligemma
