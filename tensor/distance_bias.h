// A bias that attention adds to each score, by the distance between the key and the query.
//
//   d         = s - (first_query + t)          the key's distance: below 0 it stands before the query
//   bias[n,d] = -slope[n] |d|                  a slope: ALiBi
//             + table[n, d - first_distance]   a table: T5's buckets, or what a small MLP says
//
//   slope  [N]              of each head
//   table  [N, distances]   of each head, from first_distance on; what is beyond either end takes the
//                           number at that end
//
// Either may be left out. The bias is computed where the score is: nothing of size T x S is stored.
//
// Paper: Press et al. 2022, "Train short, test long" (ALiBi), section 3; Raffel et al. 2019, "T5",
// section 2.1.
//
// Read next: tensor/scaled_dot_product_attention.h.
#pragma once

#include "tensor/host_device.h"
#include "tensor/view.h"

namespace paligemma {

template <Space S = Space::host>
struct DistanceBias {
  View<const float, 1, S> slope = {};
  View<const float, 2, S> table = {};  // row-major
  Index first_query = 0;               // the key beside which query 0 stands
  Index first_distance = 0;
};

// The same for the loops of a kernel.
struct DistanceBiasOfKernel {
  const float *slope = nullptr, *table = nullptr;  // null: none
  Index first_query = 0, first_distance = 0, distances = 0;

  DistanceBiasOfKernel() = default;
  template <Space S>
  explicit DistanceBiasOfKernel(const DistanceBias<S>& bias)
      : slope(bias.slope.data()),
        table(bias.table.data()),
        first_query(bias.first_query),
        first_distance(bias.first_distance),
        distances(bias.table.size(1)) {}

  [[gnu::always_inline]] PG_HOST_DEVICE bool any() const {
    return slope != nullptr || table != nullptr;
  }

  // For query t of head n, and key s.
  [[gnu::always_inline]] PG_HOST_DEVICE float at(Index t, Index n, Index s) const {
    const Index d = s - (first_query + t);
    float bias = slope != nullptr ? -slope[n] * static_cast<float>(d < 0 ? -d : d) : 0.0f;
    if (table != nullptr) {
      const Index column = d - first_distance;
      bias += table[n * distances + (column < 0 ? 0 : column < distances ? column : distances - 1)];
    }
    return bias;
  }
};

}  // namespace paligemma
