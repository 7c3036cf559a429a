// Quantised linear: the product of tensor/linear.h with weights of 8 or 4 bits instead of 16.
//
//   y[t,o] = sum_i x[t,i] weight[o,i]          weight[o,i] = scale * q, with scales shared by 256 features
//
//   x       [T, I]
//   weight  [O, ceil(I / 256)] blocks; behind the last feature come zeros
//   y       [T, O]   must not overlap x
//
// Int8Block, 8.1 bits a weight. One scale, symmetric: the largest magnitude becomes 127.
//
//   weight = scale * q[i]                                  q from -127 to 127
//
// Int4Block, 4.4 bits a weight. Feature i belongs to unit u = i / 4 and to group g = u % 8 of 32 features,
// and each group has a factor of its own:
//
//   weight = scale * factor[g] * (n - 8)                   n from 0 to 15, factor from -15 to 15
//   n      = pair[4 (u % 32) + i % 4], the low four bits if u < 32, else the high four
//
// scale * factor is chosen so that the group's largest weight becomes -8, hence the sign. Groups are
// interleaved so that eight neighbouring units belong to eight groups: a register of eight or sixteen sums
// is multiplied by factors once a block. factor * (n - 8) fits in 8 bits, so that both formats are
// multiplied by the same instructions.
//
// Two kinds of block have no such scale. One whose weights are all below 2^-119, where a scale could be
// subnormal and lose its digits, is zeros. One with a NaN, an infinity or a weight above 2^127 has a NaN as
// scale, hence as each of its weights; a checkpoint that holds one is not quantised (paligemma/quantize.h).
//
// Blocks are what a file holds (docs/tensor/quantized_linear.md), little-endian, and what is mapped. The
// reference computes with the weights as they are; a fast version rounds x to 8 bits as well.
//
// Papers: Jacob et al. 2017, "Quantization and training of neural networks for efficient
// integer-arithmetic-only inference", section 2.1; Dettmers & Zettlemoyer 2022, "The case for 4-bit
// precision", section 3, for small groups with a scale of their own.
//
// Read next: paligemma/quantize.h.
#pragma once

#include <algorithm>
#include <concepts>
#include <utility>

#include "tensor/execution.h"
#include "tensor/linear_epilogue.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

inline constexpr Index kBlock = 256;  // features
inline constexpr Index kGroups = 8;   // of an Int4Block

struct Int8Block {
  float scale;
  std::int8_t q[kBlock];
};
struct Int4Block {
  float scale;
  std::int8_t factor[kGroups];
  std::uint8_t pair[kBlock / 2];
};
template <class Block>
concept Quantized = std::same_as<Block, Int8Block> || std::same_as<Block, Int4Block>;
static_assert(sizeof(Int8Block) == 260 && sizeof(Int4Block) == 140);

[[gnu::always_inline]] constexpr Index blocks_of(Index features) {
  return (features + kBlock - 1) / kBlock;
}

// `count` features, at most 256, as a block, and back.
template <Quantized Block>
Block quantize(const float* weights, Index count);
void dequantize(const Int8Block& block, float (&weights)[kBlock]);
void dequantize(const Int4Block& block, float (&weights)[kBlock]);
template <Quantized Block>
void dequantize_row(View<const Block, 1> blocks, View<float, 1> weights);
template <Quantized Block>
void dequantize_rows(View<const Block, 2> blocks, View<float, 2> weights);

template <Quantized Block>
void linear(Reference, View<const float, 2> x, const Linear<QuantizedWeights<Block>>& w,
            View<float, 2> y, const Epilogue<QuantizedWeights<Block>>& epilogue = {});

// Backward, as of a linear layer (tensor/linear.h), to x and to an adapter: blocks are not learned. So many rows of
// weights at a time are floats.
template <OnHost On, Quantized Block>
void linear_backward(const On& on, View<const float, 2> x, const Linear<QuantizedWeights<Block>>& w,
                     View<const float, 2> dy, View<float, 2> dx, const Linear<HostGradients>& dw) {
  constexpr Index kRows = 64;
  const Index T = x.size(0), I = x.size(1), O = w.weight.size(0);
  check_linear_backward(x, w, blocks_of(I), dy, dx, dw);
  PG_CHECK(dw.weight.data() == nullptr && dw.bias.data() == nullptr, "blocks are not learned");
  for (Index begin = 0; begin < O && dx.data() != nullptr; begin += kRows) {
    const Index count = std::min(kRows, O - begin);
    Buffer<float, 2> weight({count, I}, unwritten), some_dy({T, count}, unwritten);
    dequantize_rows(w.weight.rows(begin, begin + count), weight.view());
    for (Index t = 0; t < T; ++t) std::copy_n(&dy(t, begin), count, &some_dy.view()(t, 0));
    linear_backward(on, x, Linear{std::as_const(weight).view()}, some_dy.view(), dx, {});
  }
  if (w.adapter != nullptr) lora_backward(on, x, *w.adapter, dy, dx, dw.adapter);
}

}  // namespace paligemma
