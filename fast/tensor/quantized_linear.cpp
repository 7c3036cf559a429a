#include "fast/tensor/quantized_linear.h"

#include "fast/core/kernels.h"
#include "fast/tensor/linear_layer.h"

namespace paligemma {
namespace {

void run(const Fast& on, const LinearWork<Int8Block>& work) { on.kernels().linear.int8(on, work); }
void run(const Fast& on, const LinearWork<Int4Block>& work) { on.kernels().linear.int4(on, work); }

}  // namespace

template <Quantized Block>
void linear(const Fast& on, View<const float, 2> x, const Linear<QuantizedWeights<Block>>& w,
            View<float, 2> y, const Epilogue<QuantizedWeights<Block>>& epilogue) {
  check_linear(x, w, blocks_of(x.size(1)), y, epilogue);
  run_layer(on, x, w, y, epilogue, [&](const LinearWork<Block>& work) { run(on, work); });
}

template void linear(const Fast&, View<const float, 2>, const Linear<QuantizedWeights<Int8Block>>&,
                     View<float, 2>, const Epilogue<QuantizedWeights<Int8Block>>&);
template void linear(const Fast&, View<const float, 2>, const Linear<QuantizedWeights<Int4Block>>&,
                     View<float, 2>, const Epilogue<QuantizedWeights<Int4Block>>&);

}  // namespace paligemma
