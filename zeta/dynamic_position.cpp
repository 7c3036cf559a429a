#include "zeta/dynamic_position.h"

#include <cmath>
#include <utility>

#include "tensor/layer_norm.h"
#include "tensor/linear.h"

namespace paligemma {
namespace {

constexpr float kEps = 1e-5f;

float silu(float x) { return x / (1 + std::exp(-x)); }

}  // namespace

DistanceTable dynamic_position_table(const DynamicPositionWeights& w, bool log_distance, Index T) {
  PG_CHECK(T > 0, std::to_string(T) + " tokens");
  const Index distances = 2 * T - 1, N = w.out.weight.size(0);

  // What the MLP reads: the key before the query is at +1.
  Buffer<float, 2> x({distances, 1});
  for (Index i = 0; i < distances; ++i) {
    const auto d = static_cast<float>(T - 1 - i);
    x.view()(i, 0) = log_distance ? std::copysign(std::log(std::abs(d) + 1), d) : d;
  }
  for (const auto& [layer, norm_scale, norm_bias] : w.hidden) {
    Buffer<float, 2> y({distances, layer.weight.size(0)});
    linear(reference, x.view(), layer, y.view());
    if (norm_scale.data() != nullptr) {
      layer_norm(reference, y.view(), norm_scale, norm_bias, kEps, y.view());
    }
    for (Index i = 0; i < y.view().count(); ++i) y.view().data()[i] = silu(y.view().data()[i]);
    x = std::move(y);
  }
  Buffer<float, 2> said({distances, N});
  linear(reference, x.view(), w.out, said.view());

  DistanceTable table{Buffer<float, 2>({N, distances}), -(T - 1)};
  for (Index n = 0; n < N; ++n) {
    for (Index i = 0; i < distances; ++i) table.bias.view()(n, i) = said.view()(i, n);
  }
  return table;
}

}  // namespace paligemma
