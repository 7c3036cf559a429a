#include "fast/tensor/scaled_dot_product_attention.h"

#include <algorithm>

#include "fast/core/kernels.h"

namespace paligemma {

void scaled_dot_product_attention(const Fast& on, View<const float, 3> q, View<const float, 3> k,
                                  View<const float, 3> v, View<const KeyRange, 1> visible,
                                  AttentionRule rule, View<float, 3> out,
                                  const DistanceBias<>& bias, AttentionMaps<> maps) {
  if (rule.dropout.rate > 0) {
    return scaled_dot_product_attention(reference, q, k, v, visible, rule, out, bias, maps);
  }
  check_attention(q, k, v, visible, out);
  check_attention(bias, maps, q.size(0), q.size(1), k.size(0));
  PG_CHECK(v.stride()[2] == 1 && (visible.size(0) == 0 || visible.stride()[0] == 1),
           "the numbers of a head must be contiguous");
  std::fill_n(maps.weights.data(), maps.weights.count(), 0.0f);
  const KeyRange* const ranges = visible.size(0) > 0 ? visible.data() : nullptr;
  // clang-format off
  on.kernels().attention(
      on, {q.data(), k.data(), v.data(), out.data(), ranges, rule,
           q.size(0), q.size(1), q.size(2), k.size(0), k.size(1),
           q.stride()[0], q.stride()[1], k.stride()[0], k.stride()[1],
           v.stride()[0], v.stride()[1], out.stride()[0], out.stride()[1],
           DistanceBiasOfKernel(bias), maps.weights.data(), maps.log_sum_exp.data()});
  // clang-format on
}

}  // namespace paligemma
