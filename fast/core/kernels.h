// The kernels of one instruction set, and the sets that there are.
//
//   portable      4 lanes: SSE2 or NEON, whatever the compiler takes for granted
//   avx2          8 lanes, multiply-add
//   avx512        16 lanes; 8-bit products by VNNI
//   avx512_bf16   the same, and bf16 products by vdpbf16ps
//
// fast/kernels/ has a file for each, all made of the same sources.
#pragma once

#include <string_view>
#include <vector>

#include "fast/core/probe_work.h"
#include "fast/gemma/sampler_work.h"
#include "fast/tensor/linear_work.h"
#include "fast/tensor/scaled_dot_product_attention_work.h"

namespace paligemma {

struct Kernels {
  std::string_view name;
  std::string_view products;  // how each type of weights is multiplied, for people
  LinearKernels linear;
  AttentionKernel attention;
  LogitKernels logits;
  ProbeKernels probe;
};

// All that this processor can run, best first.
std::vector<const Kernels*> available_kernels();
const Kernels& best_kernels();

}  // namespace paligemma
