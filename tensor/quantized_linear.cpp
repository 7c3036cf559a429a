#include "tensor/quantized_linear.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/buffer.h"
#include "tensor/dot.h"

namespace paligemma {
namespace {

// Where a feature of an Int4Block lies.
struct Place {
  Index group, byte;
  int shift;
};
constexpr Place place_of(Index i) {
  const Index unit = i / 4;
  return {unit % kGroups, 4 * (unit % 32) + i % 4, unit < 32 ? 0 : 4};
}

// The largest magnitude: 0 if it is too small for a scale, a NaN if it is too large or there is a NaN.
float largest_of(const float* weights, Index count) {
  constexpr float kLeast = 0x1p-119f, kMost = 0x1p127f;
  float largest = 0;
  for (Index i = 0; i < count; ++i) {
    const float magnitude = std::abs(weights[i]);
    if (!(magnitude <= kMost)) return std::numeric_limits<float>::quiet_NaN();
    largest = std::max(largest, magnitude);
  }
  return largest < kLeast ? 0 : largest;
}

// n - 8 for a weight and a step that is not 0.
int rounded(float weight, float step) {
  return std::clamp(static_cast<int>(std::lrint(weight / step)), -8, 7);
}

}  // namespace

template <>
Int8Block quantize(const float* weights, Index count) {
  Int8Block block{};
  const float largest = largest_of(weights, count);
  block.scale = largest / 127;
  if (!(largest > 0)) return block;
  for (Index i = 0; i < count; ++i) {
    block.q[i] = static_cast<std::int8_t>(std::lrint(weights[i] / block.scale));
  }
  return block;
}

template <>
Int4Block quantize(const float* weights, Index count) {
  Int4Block block{};
  const float largest = largest_of(weights, count) / 8;
  block.scale = largest / 15;
  if (!(largest > 0)) return block;

  // Each group's largest weight should become -8.
  float step[kGroups] = {};
  for (Index i = 0; i < count; ++i) {
    float& s = step[place_of(i).group];
    if (std::abs(weights[i]) > std::abs(s)) s = weights[i];
  }
  for (float& s : step) s /= -8;

  // Of the two factors around a step, take the one that leaves the smaller error.
  for (Index g = 0; g < kGroups; ++g) {
    if (step[g] == 0) continue;
    const float exact = std::clamp(step[g] / block.scale, -15.0f, 15.0f);
    double least = std::numeric_limits<double>::infinity();
    for (const float factor : {std::floor(exact), std::ceil(exact)}) {
      if (factor == 0) continue;
      double error = 0;  // squares of floats may be too large for one
      for (Index i = 0; i < count; ++i) {
        if (place_of(i).group != g) continue;
        const double difference =
            weights[i] -
            block.scale * factor * static_cast<float>(rounded(weights[i], block.scale * factor));
        error += difference * difference;
      }
      if (error < least) {
        least = error;
        block.factor[g] = static_cast<std::int8_t>(factor);
      }
    }
  }

  for (Index i = 0; i < kBlock; ++i) {
    const auto [group, byte, shift] = place_of(i);
    const float unit = block.scale * static_cast<float>(block.factor[group]);
    const int n = i < count && unit != 0 ? rounded(weights[i], unit) + 8 : 8;
    block.pair[byte] = static_cast<std::uint8_t>(block.pair[byte] | n << shift);
  }
  return block;
}

void dequantize(const Int8Block& block, float (&weights)[kBlock]) {
  for (Index i = 0; i < kBlock; ++i) weights[i] = block.scale * block.q[i];
}

void dequantize(const Int4Block& block, float (&weights)[kBlock]) {
  for (Index i = 0; i < kBlock; ++i) {
    const auto [group, byte, shift] = place_of(i);
    const int n = (block.pair[byte] >> shift) & 15;
    weights[i] = block.scale * static_cast<float>(block.factor[group] * (n - 8));
  }
}

template <Quantized Block>
void dequantize_row(View<const Block, 1> blocks, View<float, 1> weights) {
  for (Index b = 0; b < blocks.count(); ++b) {
    float numbers[kBlock];
    dequantize(blocks(b), numbers);
    std::copy_n(numbers, std::min(kBlock, weights.count() - b * kBlock), &weights(b * kBlock));
  }
}
template void dequantize_row(View<const Int8Block, 1>, View<float, 1>);
template void dequantize_row(View<const Int4Block, 1>, View<float, 1>);

template <Quantized Block>
void dequantize_rows(View<const Block, 2> blocks, View<float, 2> weights) {
#pragma omp parallel for
  for (Index o = 0; o < blocks.size(0); ++o) dequantize_row(blocks.row(o), weights.row(o));
}
template void dequantize_rows(View<const Int8Block, 2>, View<float, 2>);
template void dequantize_rows(View<const Int4Block, 2>, View<float, 2>);

namespace {

template <Quantized Block>
void products(View<const float, 2> x, const Linear<QuantizedWeights<Block>>& w,
              View<float, 2> sums) {
  const Index T = x.size(0), I = x.size(1), O = w.weight.size(0);
  // One for each thread, as in linear.cpp.
  Buffer<float, 2> weight_rows({omp_get_max_threads(), I}, unwritten);
#pragma omp parallel for
  for (Index o = 0; o < O; ++o) {
    const auto weight_row = weight_rows.view().row(omp_get_thread_num());
    dequantize_row(w.weight.row(o), weight_row);
    const float bias = w.bias.data() != nullptr ? widen(w.bias(o)) : 0.0f;
    for (Index t = 0; t < T; ++t) sums(t, o) = dot(x.row(t).data(), weight_row.data(), I) + bias;
  }
}

}  // namespace

template <Quantized Block>
void linear(Reference, View<const float, 2> x, const Linear<QuantizedWeights<Block>>& w,
            View<float, 2> y, const Epilogue<QuantizedWeights<Block>>& epilogue) {
  check_linear(x, w, blocks_of(x.size(1)), y, epilogue);
  with_epilogue(x, w, epilogue, y,
                [&](const auto& layer, View<float, 2> sums) { products<Block>(x, layer, sums); });
}

template void linear(Reference, View<const float, 2>, const Linear<QuantizedWeights<Int8Block>>&,
                     View<float, 2>, const Epilogue<QuantizedWeights<Int8Block>>&);
template void linear(Reference, View<const float, 2>, const Linear<QuantizedWeights<Int4Block>>&,
                     View<float, 2>, const Epilogue<QuantizedWeights<Int4Block>>&);

}  // namespace paligemma
