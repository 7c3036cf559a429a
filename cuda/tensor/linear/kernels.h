// The kernels of this folder, as linear.cu and cuda/gemma/geglu_mlp.cu call them. Sizes have been
// checked, and no product is empty.
#pragma once

#include "cuda/core/pack.h"
#include "cuda/tensor/linear/sum_ending.h"

namespace paligemma::cuda {

// x [T, I] times the transpose of weight [O, I].
template <class Weight>
struct Product {
  const float* x;
  const Weight* weight;
  Index T, O;
  int I;
  SumEnding<Weight> epilogue;

  // Whether each row of weights, and each of x, consists of whole packs of 16 bytes.
  bool is_packable() const {
    return I > 0 && I % Pack<Weight>::kSize == 0 && is_aligned(x) && is_aligned(weight);
  }
};

template <class Weight>
void linear_tiled(const Stream& stream, const Product<Weight>& product);

template <class Weight>
void linear_warp_per_output(const Stream& stream, const Product<Weight>& product);

// y = gelu(x gate^T) * (x up^T), where gate and up are two matrices [O, I].
template <class Weight>
struct GatedProduct {
  const float* x;
  const Weight *gate, *up;
  Index T, O;
  int I;
  GeluForm form;
  float* y;  // [T, O]

  bool is_packable() const {
    return I > 0 && I % Pack<Weight>::kSize == 0 && is_aligned(x) && is_aligned(gate) &&
           is_aligned(up);
  }
};

// By tensor cores, for which x is rounded to bf16. Rows must be packable.
void linear_tensor_core(const Stream& stream, const Product<bf16>& product);
void linear_tensor_core(const Stream& stream, const GatedProduct<bf16>& product);

// The same on compute capability 9.0 (hopper.cu).
void linear_warpgroup(const Stream& stream, const Product<bf16>& product);
void linear_warpgroup(const Stream& stream, const GatedProduct<bf16>& product);

// ---- before and after the tensor cores (parts.cu) --------------------------------------------------

// n is a multiple of 8, and both stand at multiples of 16 bytes.
void round_to_bf16(const Stream& stream, const float* x, Index n, bf16* rounded);

// Ends the sums of parts [parts, T, O], added up in this order: the result is the same every time.
void add_parts(const Stream& stream, DeviceView<const float, 3> parts,
               const SumEnding<bf16>& epilogue);

}  // namespace paligemma::cuda
