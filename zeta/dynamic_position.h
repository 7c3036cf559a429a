// Dynamic position: what is added to a score by the distance of query and key is what a small MLP says
// of that distance.
//
//   x           = d, or sign(d) ln(|d| + 1)                     d = t - s
//   x           = silu( norm( linear(x) ) )                     for each hidden layer; norm is optional
//   bias[n,t,s] = out(x)[n]
//
//   hidden  Linear [D', 1], then [D', D'], and LayerNorms [D'], eps 1e-5; D' is D / 4 in zeta
//   out     Linear [N, D']
//   table   [N, 2T - 1]   s - t from -(T - 1) to T - 1: enough for any sequence of at most T, so once for
//                         each model. Unlike with T5's, the numbers beyond it would be others
//
// Source: x-transformers' DynamicPositionBias; Liu et al. 2021, "Swin Transformer V2", section 3.3, has
// such an MLP of log distances in a picture ("log-spaced continuous position bias").
//
// Read next: zeta/token_filter.h.
#pragma once

#include <vector>

#include "tensor/weights.h"
#include "zeta/distance_table.h"

namespace paligemma {

struct DynamicPositionWeights {
  struct Hidden {
    Linear<HostWeights<float>> linear;
    View<const float, 1> norm_scale = {}, norm_bias = {};  // [D'], or nothing
  };

  std::vector<Hidden> hidden;  // rel_pos.mlp.0, 1, ...: .0 is the linear layer, .1 the norm
  Linear<HostWeights<float>> out;
};

DistanceTable dynamic_position_table(const DynamicPositionWeights& w, bool log_distance, Index T);

}  // namespace paligemma
