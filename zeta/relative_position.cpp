#include "zeta/relative_position.h"

#include <algorithm>
#include <cmath>

namespace paligemma {

Index relative_position_bucket(Index distance, bool causal, Index buckets, Index far) {
  Index first = 0;
  if (!causal) {
    buckets /= 2;
    if (distance > 0) first = buckets;
  }
  const Index n = causal ? std::max<Index>(-distance, 0) : std::abs(distance);
  const Index exact = buckets / 2;
  PG_CHECK(0 < exact && exact < far, std::to_string(exact) + " buckets of one distance, the last " +
                                         std::to_string(far) + " away");
  if (n < exact) return first + n;
  const float share =
      std::log(static_cast<float>(n) / static_cast<float>(exact)) /
      static_cast<float>(std::log(static_cast<double>(far) / static_cast<double>(exact)));
  const auto wide = static_cast<Index>(share * static_cast<float>(buckets - exact));
  return first + std::min(exact + wide, buckets - 1);
}

DistanceTable relative_position_table(View<const float, 2> weights, Index H, bool causal,
                                      Index far) {
  const Index buckets = weights.size(0), N = weights.size(1);
  const Index first = -far, last = causal ? 0 : far;
  const float scale = std::sqrt(static_cast<float>(H));
  DistanceTable table{Buffer<float, 2>({N, last - first + 1}), first};
  for (Index d = first; d <= last; ++d) {
    const Index bucket = relative_position_bucket(d, causal, buckets, far);
    for (Index n = 0; n < N; ++n) table.bias.view()(n, d - first) = scale * weights(bucket, n);
  }
  return table;
}

}  // namespace paligemma
