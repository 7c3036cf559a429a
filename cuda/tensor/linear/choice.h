// Which kernel a product takes. Included by what calls the kernels.
#pragma once

#include <type_traits>

#include "cuda/core/device.h"
#include "cuda/tensor/linear.h"
#include "cuda/tensor/linear/kernels.h"

namespace paligemma::cuda {

// Tensor cores take bf16 alone, and cp.async whole packs of them.
template <template <class> class P, class Weight>
bool may_use_tensor_cores(const P<Weight>& product) {
  return std::is_same_v<Weight, bf16> && product.is_packable();
}

template <template <class> class P, class Weight>
LinearKernel best_kernel(const Stream& stream, const P<Weight>& product) {
  constexpr Index kFewTokens = 8;         // each weight is used so seldom that memory decides
  constexpr Index kWarpgroupTokens = 64;  // most of a tile of 88
  if (product.T <= kFewTokens) return LinearKernel::warp_per_output;
  if (stream.math() == Math::float32 || !may_use_tensor_cores(product)) return LinearKernel::tiled;
  return product.T >= kWarpgroupTokens && compute_capability() == 90 ? LinearKernel::warpgroup
                                                                     : LinearKernel::tensor_core;
}

// By tensor_core or warpgroup, which the product may use.
template <template <class> class P, class Weight>
void on_tensor_cores(const Stream& stream, const P<Weight>& product, LinearKernel kernel) {
  if constexpr (std::is_same_v<Weight, bf16>) {
    if (kernel == LinearKernel::tensor_core) return linear_tensor_core(stream, product);
    PG_CHECK(compute_capability() == 90, "wgmma needs compute capability 9.0");
    linear_warpgroup(stream, product);
  }
}

}  // namespace paligemma::cuda
