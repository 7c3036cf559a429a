#include "fast/tensor/quantized_linear.h"

#include "fast/core/kernels.h"

namespace paligemma {
namespace {

void run(const Fast& on, const LinearWork<Int8Block>& work) { on.kernels().linear.int8(on, work); }
void run(const Fast& on, const LinearWork<Int4Block>& work) { on.kernels().linear.int4(on, work); }

template <class Block>
void multiply(const Fast& on, View<const float, 2> x, View<const Block, 2> weight,
              View<const Block, 2> up, View<float, 2> y, Then then) {
  PG_CHECK(weight.size(1) == blocks_of(x.size(1)),
           "x " + shape_text(x) + ", weight " + shape_text(weight));
  PG_CHECK(up.shape() == weight.shape(), "weight " + shape_text(weight) + ", up " + shape_text(up));
  PG_CHECK(y.size(0) == x.size(0) && y.size(1) == weight.size(0),
           "x " + shape_text(x) + ", weight " + shape_text(weight) + ", y " + shape_text(y));
  PG_CHECK(x.is_row_major() && weight.is_row_major() && up.is_row_major() && y.stride()[1] == 1,
           "rows must be contiguous");
  run(on, LinearWork<Block>{x.data(), weight.data(), up.data(), nullptr, y.data(), x.size(0),
                            weight.size(0), x.size(1), y.stride()[0], then});
}

}  // namespace

template <Quantized Block>
void linear(const Fast& on, View<const float, 2> x, View<const Block, 2> weight, View<float, 2> y) {
  multiply(on, x, weight, weight, y, Then::nothing);
}

template <Quantized Block>
void linear_geglu(const Fast& on, View<const float, 2> x, View<const Block, 2> gate,
                  View<const Block, 2> up, View<float, 2> y) {
  multiply(on, x, gate, up, y, Then::geglu);
}

#define PG_LINEAR_OF(Block)                                                                      \
  template void linear(const Fast&, View<const float, 2>, View<const Block, 2>, View<float, 2>); \
  template void linear_geglu(const Fast&, View<const float, 2>, View<const Block, 2>,            \
                             View<const Block, 2>, View<float, 2>);
PG_LINEAR_OF(Int8Block)
PG_LINEAR_OF(Int4Block)
#undef PG_LINEAR_OF

}  // namespace paligemma
