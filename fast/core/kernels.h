// The kernels of one instruction set, and the sets that there are.
//
//   portable      4 lanes: SSE2 or NEON, the compiler's default
//   avx2          8 lanes, multiply-add
//   avx512        16 lanes; 8-bit products by VNNI
//   avx512_bf16   the same, and bf16 products by vdpbf16ps
//   amx           the same, and products of many rows by tile registers, attention's too
//
// fast/kernels/ has a file for each, all made of the same sources.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fast/colpali/max_sim_work.h"
#include "fast/core/probe_work.h"
#include "fast/gemma/sampler_work.h"
#include "fast/tensor/attention_backward_work.h"
#include "fast/tensor/gelu_work.h"
#include "fast/tensor/linear_work.h"
#include "fast/tensor/product_work.h"
#include "fast/tensor/scaled_dot_product_attention_work.h"

namespace paligemma {

struct Kernels {
  std::string_view name;
  std::string_view features;  // what they are compiled for, "avx2 fma f16c", as CMake has it
  std::string_view products;  // how each type of weights is multiplied, for people
  LinearKernels linear;
  ProductKernels backward;
  GeluKernels gelu;
  AttentionKernel attention;
  AttentionBackwardKernel attention_backward;
  LogitKernels logits;
  MaxSimKernels max_sim;
  ProbeKernels probe;
};

// Whether a processor has each feature that kernels are compiled for, by its name for the compiler's -m.
using Features = std::map<std::string, bool>;
Features features_of_this_processor();

// All that a processor can run, best first. Throws std::out_of_range if a feature has no entry.
std::vector<const Kernels*> available_kernels(const Features& = features_of_this_processor());
const Kernels& best_kernels();

}  // namespace paligemma
