// Relative position, as in T5: keys are put into buckets by their distance from the query, and each
// head has a learned number for each bucket, which is added to the score.
//
//   bias[n,t,s] = sqrt(H) weights[ bucket(s - t), n ]
//
//   n         = max(t - s, 0)                                     causal
//   bucket    = n                                                 if n < e = buckets / 2
//             = e + floor( (buckets - e) ln(n / e) / ln(far / e) ), at most buckets - 1, else
//
// Both ways there are buckets / 2 for keys up to the query, n = t - s, and as many behind them for keys
// after it, n = s - t.
//
//   weights  [buckets, N]   rel_pos.relative_attention_bias.weight
//   table    [N, far + 1] causal, [N, 2 far + 1] both ways: beyond far all is one bucket, so what
//                           attention reads beyond the table's ends is right
//
// Paper: Raffel et al. 2019, "T5", section 2.1; the formula is in its code alone. The factor sqrt(H) is
// x-transformers'; T5 has none, and does not scale its scores either. The logarithms, their quotient and
// the product are float, as in PyTorch: a distance on the edge of a bucket falls to the same side.
//
// Read next: zeta/dynamic_position.h.
#pragma once

#include "zeta/distance_table.h"

namespace paligemma {

// distance is s - t.
Index relative_position_bucket(Index distance, bool causal, Index buckets, Index far);

DistanceTable relative_position_table(View<const float, 2> weights, Index H, bool causal,
                                      Index far);

}  // namespace paligemma
