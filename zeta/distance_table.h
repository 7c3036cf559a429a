// DistanceTable: what attention adds to a score at each distance of query and key, worked out once on
// the host. Attention takes it as a DistanceBias.
#pragma once

#include "tensor/buffer.h"
#include "tensor/distance_bias.h"

namespace paligemma {

struct DistanceTable {
  Buffer<float, 2> bias;  // [N, distances]
  Index first_distance;   // s - t of column 0

  // Query 0 stands beside key first_query.
  DistanceBias<> view(Index first_query = 0) const {
    return {.table = bias.view(), .first_query = first_query, .first_distance = first_distance};
  }
};

}  // namespace paligemma
