// What attention adds by distance (tensor/distance_bias.h), from a model's weights: worked out on the host, once
// for so many keys, and placed where the executor reads it.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "tensor/buffer.h"
#include "tensor/distance_bias.h"
#include "zeta/alibi.h"
#include "zeta/dynamic_position.h"
#include "zeta/relative_position.h"
#include "zeta/shape.h"

namespace paligemma::zeta {

template <class On>
inline constexpr Space kSpaceOf = OnHost<On> ? Space::host : Space::device;

// Of the three kinds of zeta/shape.h's DistanceShape, those that have weights.
struct DistanceWeights {
  std::vector<float> buckets;  // [buckets, N]
  struct Layer {
    std::vector<float> weight, bias, norm_scale, norm_bias;  // [O, I], [O]; the norm may be empty
  };
  std::vector<Layer> mlp;  // the last one gives a number for each head
};

// As zeta/dynamic_position.h takes them.
inline DynamicPositionWeights views_of(const std::vector<DistanceWeights::Layer>& layers) {
  const auto vector = [](const std::vector<float>& x) {
    return View<const float, 1>(x.data(), {static_cast<Index>(x.size())});
  };
  const auto linear = [&](const DistanceWeights::Layer& layer) {
    const auto O = static_cast<Index>(layer.bias.size());
    const Index I = static_cast<Index>(layer.weight.size()) / O;
    return Linear<HostWeights<float>>{{layer.weight.data(), {O, I}}, vector(layer.bias)};
  };
  DynamicPositionWeights w;
  for (const auto& layer : layers) {
    if (&layer == &layers.back()) {
      w.out = linear(layer);
    } else if (layer.norm_scale.empty()) {
      w.hidden.push_back({linear(layer)});
    } else {
      w.hidden.push_back({linear(layer), vector(layer.norm_scale), vector(layer.norm_bias)});
    }
  }
  return w;
}

template <class On>
class DistanceTables {
 public:
  // `keys` is the largest number that there will be.
  DistanceTables(const On& on, const DistanceWeights& w, const LayersShape& shape, Index keys) {
    const DistanceShape& distance = shape.distance;
    if (distance.alibi_heads > 0) {
      place(on, alibi(distance.alibi_heads, shape.heads), slope_);
    }
    if (distance.buckets > 0) {
      place_table(on, relative_position_table({w.buckets.data(), {distance.buckets, shape.heads}},
                                              shape.head_size, shape.causal, distance.far));
    }
    if (distance.mlp_layers > 0) {
      place_table(on, dynamic_position_table(views_of(w.mlp), distance.mlp_log, keys));
    }
  }

  DistanceBias<kSpaceOf<On>> at(Index first_query) const {
    DistanceBias<kSpaceOf<On>> bias;
    if (slope_) bias.slope = slope_->view();
    if (table_) bias.table = table_->view();
    bias.first_query = first_query;
    bias.first_distance = first_distance_;
    return bias;
  }

 private:
  std::optional<BufferOn<On, float, 1>> slope_;  // [N]
  std::optional<BufferOn<On, float, 2>> table_;  // [N, distances]
  Index first_distance_ = 0;

  template <int Rank>
  static void place(const On& on, const Buffer<float, Rank>& numbers,
                    std::optional<BufferOn<On, float, Rank>>& there) {
    there.emplace(numbers.view().shape(), unwritten);
    copy_from_host(on, numbers.view(), there->view());
  }
  void place_table(const On& on, const DistanceTable& table) {
    place(on, table.bias, table_);
    first_distance_ = table.first_distance;
  }
};

}  // namespace paligemma::zeta
