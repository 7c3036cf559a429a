#include "zeta/dynamic_position.h"

#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

// Numbers of an MLP, and the weights that look at them.
struct Mlp {
  struct Layer {
    Buffer<float, 2> weight;
    Buffer<float, 1> bias, norm_scale, norm_bias;
  };
  std::vector<Layer> hidden;
  Buffer<float, 2> out_weight;
  Buffer<float, 1> out_bias;
  bool normed;

  DynamicPositionWeights weights() const {
    DynamicPositionWeights w{{}, {out_weight.view(), out_bias.view()}};
    for (const Layer& layer : hidden) {
      w.hidden.push_back({{layer.weight.view(), layer.bias.view()}});
      if (!normed) continue;
      w.hidden.back().norm_scale = layer.norm_scale.view();
      w.hidden.back().norm_bias = layer.norm_bias.view();
    }
    return w;
  }
};

// docs/zeta/dynamic_position.md, "By hand": x = silu(d), silu(-d); head 0 reads the first of them, head 1
// twice the second and 1.
TEST(DynamicPosition, WorkedExample) {
  const auto weight = rows_of({{1}, {-1}}), out = rows_of({{1, 0}, {0, 2}});
  const auto bias = vector_of({0, 0}), out_bias = vector_of({0, 1});
  const DynamicPositionWeights w{{{{weight.view(), bias.view()}}}, {out.view(), out_bias.view()}};
  const DistanceTable table = dynamic_position_table(w, false, 3);
  EXPECT_EQ(table.first_distance, -2);
  const auto expected = rows_of({{1.7615942, 0.7310586, 0, -0.2689414, -0.2384058},
                                 {0.5231883, 0.4621172, 1, 2.4621172, 4.5231883}});
  EXPECT_TRUE(close(table.bias.view(), expected.view(), float_operations(4)));
}

// By x-transformers 1.19.0 under PyTorch 2.13.0: DynamicPositionBias(3, heads=2, depth=2, ...) with these
// weights, its rows 3 and 0 of 4; terms are of up to 16.
TEST(DynamicPosition, IsWhatZetaComputes) {
  const Tolerance tolerance = float_sum_of(3, 16);
  const auto table_of = [](const Mlp& mlp, bool log_distance) {
    return dynamic_position_table(mlp.weights(), log_distance, 4);
  };
  Mlp mlp{
      {}, rows_of({{-1.25, -0.125, 1}, {-0.625, -0.5, -0.75}}), vector_of({0.625, -0.75}), false};
  mlp.hidden.push_back({rows_of({{1.375}, {0.375}, {0.625}}), vector_of({1.25, 0.25, 0.875}),
                        vector_of({1, -0.875, -1.375}), vector_of({-0.625, -0.625, 1.125})});
  mlp.hidden.push_back({rows_of({{1, -0.875, -1.375}, {-0.625, -0.625, 1.125}, {1.25, -1.5, 0}}),
                        vector_of({1, -1.125, 0.875}), vector_of({0.625, -0.75, 1.5}),
                        vector_of({-0.125, -0.125, 0})});
  EXPECT_TRUE(close(table_of(mlp, false).bias.view(),
                    rows_of({{4.573286057, 3.533866882, 2.456950665, 1.375938177, 0.598676443,
                              0.191102773, -0.001536608},
                             {-6.057641029, -4.994636536, -3.725412369, -2.291043043, -1.437890291,
                              -1.556413651, -1.937016964}})
                        .view(),
                    tolerance));
  EXPECT_TRUE(close(table_of(mlp, true).bias.view(),
                    rows_of({{2.877319574, 2.564759731, 2.119935513, 1.375938177, 0.78339684,
                              0.54758507, 0.415164173},
                             {-4.246667862, -3.862216234, -3.286004782, -2.291043043, -1.581896305,
                              -1.414032221, -1.398749352}})
                        .view(),
                    tolerance));

  mlp.normed = true;
  mlp.hidden[1].weight = rows_of({{1.25, -1.5, 0}, {1, -1.125, 0.875}, {-1.25, -0.125, 1}});
  mlp.hidden[1].bias = vector_of({-0.625, -0.5, -0.75});
  mlp.out_weight = rows_of({{0.25, 0.125, 0}, {1.5, 1, 0.875}});
  mlp.out_bias = vector_of({0.625, 0.375});
  EXPECT_TRUE(close(table_of(mlp, false).bias.view(),
                    rows_of({{0.534404337, 0.534458458, 0.534297347, 0.53093642, 0.612788677,
                              0.530538738, 0.531452},
                             {-0.459201097, -0.459214568, -0.459158301, -0.445328236, 2.025740385,
                              0.492580831, 0.561040998}})
                        .view(),
                    tolerance));
  EXPECT_TRUE(close(table_of(mlp, true).bias.view(),
                    rows_of({{0.534424722, 0.534344554, 0.534030437, 0.53093642, 0.571478963,
                              0.641243041, 0.781454623},
                             {-0.459205747, -0.459178686, -0.45897603, -0.445328236, 1.637063622,
                              2.15622282, 1.764102221}})
                        .view(),
                    tolerance));
}

Mlp random_mlp(Index width, Index hidden, Index N, bool normed) {
  unsigned seed = 0;
  Mlp mlp{{}, random<float, 2>({N, width}, ++seed), random<float, 1>({N}, ++seed), normed};
  for (Index i = 0; i < hidden; ++i) {
    const Index inputs = i == 0 ? 1 : width;
    mlp.hidden.push_back({random<float, 2>({width, inputs}, ++seed),
                          random<float, 1>({width}, ++seed), random<float, 1>({width}, ++seed),
                          random<float, 1>({width}, ++seed)});
  }
  return mlp;
}

// A number for a distance belongs to it alone, whatever the longest sequence is.
TEST(DynamicPosition, ATableForMoreTokensHoldsThatForFewer) {
  const Mlp mlp = random_mlp(7, 2, 3, true);
  const DistanceTable longest = dynamic_position_table(mlp.weights(), true, 257);
  const DistanceBiasOfKernel long_bias(longest.view());
  for (Index T : {1, 7, 255}) {
    const DistanceTable table = dynamic_position_table(mlp.weights(), true, T);
    const DistanceBiasOfKernel bias(table.view());
    EXPECT_EQ(table.bias.view().shape(), (std::array<Index, 2>{3, 2 * T - 1}));
    for (Index n = 0; n < 3; ++n) {
      for (Index t = 0; t < T; ++t) {
        EXPECT_EQ(bias.at(t, n, 0), long_bias.at(t, n, 0));
        EXPECT_EQ(bias.at(0, n, t), long_bias.at(0, n, t));
      }
    }
  }
}

// In double. The second is the largest sum of magnitudes in a layer.
std::pair<std::vector<double>, double> defined(const Mlp& mlp, double distance, bool log_distance) {
  double largest = 0;
  const auto apply = [&](const Buffer<float, 2>& weight, const Buffer<float, 1>& bias,
                         const std::vector<double>& x) {
    std::vector<double> y;
    for (Index o = 0; o < weight.view().size(0); ++o) {
      double sum = bias.view()(o), magnitude = std::abs(sum);
      for (Index i = 0; i < weight.view().size(1); ++i) {
        sum += weight.view()(o, i) * x[i];
        magnitude += std::abs(weight.view()(o, i) * x[i]);
      }
      largest = std::max(largest, magnitude);
      y.push_back(sum);
    }
    return y;
  };
  std::vector<double> x{distance};
  if (log_distance) x = {(distance < 0 ? -1 : 1) * std::log(std::abs(distance) + 1)};
  for (const Mlp::Layer& layer : mlp.hidden) {
    x = apply(layer.weight, layer.bias, x);
    double mean = 0, variance = 0;
    for (double number : x) mean += number / static_cast<double>(x.size());
    for (double number : x) variance += std::pow(number - mean, 2) / static_cast<double>(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto d = static_cast<Index>(i);
      if (mlp.normed) {
        x[i] = (x[i] - mean) / std::sqrt(variance + 1e-5) * layer.norm_scale.view()(d) +
               layer.norm_bias.view()(d);
      }
      x[i] /= 1 + std::exp(-x[i]);
    }
  }
  return {apply(mlp.out_weight, mlp.out_bias, x), largest};
}

// Each layer rounds sums of `width` terms, and hands its errors on.
TEST(DynamicPosition, MatchesTheDefinition) {
  for (Index width : {1, 7, 32}) {
    for (Index hidden : {0, 1, 3}) {
      for (bool normed : {false, true}) {
        for (bool log_distance : {false, true}) {
          const Index T = 9, N = 3;
          const Mlp mlp = random_mlp(hidden == 0 ? 1 : width, hidden, N, normed);
          const DistanceTable table = dynamic_position_table(mlp.weights(), log_distance, T);
          Buffer<float, 2> expected({N, 2 * T - 1});
          double magnitude = 1;
          for (Index d = -(T - 1); d < T; ++d) {  // s - t
            const auto& [numbers, largest] = defined(mlp, -static_cast<double>(d), log_distance);
            magnitude = std::max(magnitude, largest);
            for (Index n = 0; n < N; ++n) {
              expected.view()(n, d + T - 1) = static_cast<float>(numbers[n]);
            }
          }
          const double layers = static_cast<double>(hidden + 1);
          EXPECT_TRUE(
              close(table.bias.view(), expected.view(), float_sum_of(width, layers * magnitude)))
              << "width " << width << ", " << hidden << " hidden layers, normed " << normed
              << ", log " << log_distance;
        }
      }
    }
  }
}

TEST(DynamicPosition, RejectsNoTokensAndLayersThatDoNotFit) {
  const Mlp mlp = random_mlp(7, 2, 3, true);
  EXPECT_THROW(dynamic_position_table(mlp.weights(), false, 0), ContractError);
  DynamicPositionWeights w = mlp.weights();
  w.hidden.pop_back();
  EXPECT_NO_THROW(dynamic_position_table(w, false, 2));
  w.hidden.clear();
  EXPECT_THROW(dynamic_position_table(w, false, 2), ContractError);
  w = mlp.weights();
  w.hidden[0].norm_bias = {};
  EXPECT_THROW(dynamic_position_table(w, false, 2), ContractError);
}

}  // namespace
}  // namespace paligemma
