// Every kernel, for the registers of whatever processor the including file is compiled for.
#pragma once

#include "fast/colpali/max_sim_kernel.h"
#include "fast/core/kernels.h"
#include "fast/core/probe_kernel.h"
#include "fast/gemma/sampler_kernel.h"
#include "fast/tensor/attention_backward_kernel.h"
#include "fast/tensor/gelu_kernel.h"
#include "fast/tensor/linear_kernel.h"
#include "fast/tensor/lora_kernel.h"
#include "fast/tensor/product_kernel.h"
#include "fast/tensor/quantized_linear_kernel.h"
#include "fast/tensor/scaled_dot_product_attention_kernel.h"

namespace paligemma {
namespace {

constexpr Kernels kernels_named(std::string_view name, std::string_view features,
                                std::string_view products) {
  return {name,
          features,
          products,
          {multiply<float>, multiply<bf16>, multiply<f16>, multiply_quantized<Int8Block>,
           multiply_quantized<Int4Block>, make_whole},
          {add_product<float>, add_product<bf16>, add_product<f16>},
          {gelu_numbers, gelu_slopes},
          attend,
          attend_backward,
          {max_logit, sum_exp, cap_logits, scaled_exp},
          {max_sim_of<float>, max_sim_of<bf16>, max_sim_of<f16>},
          kProbeKernels};
}

}  // namespace
}  // namespace paligemma
