#include "zeta/feed_forward.h"

#include <cmath>
#include <vector>

#include "tests/support/zeta.h"

namespace paligemma {
namespace {

using namespace test;
using zeta::Activation;

double bent(Activation activation, double x) {
  if (activation == Activation::silu) return x / (1 + std::exp(-x));
  if (activation == Activation::relu_squared) return x > 0 ? x * x : 0;
  return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
}

// In double, from the same weights.
std::vector<double> linear_of(const Linear<ZetaWeights>& w, const std::vector<double>& x) {
  std::vector<double> y;
  for (Index o = 0; o < w.weight.size(0); ++o) {
    double sum = w.bias.data() == nullptr ? 0 : w.bias(o);
    for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * w.weight(o, static_cast<Index>(i));
    y.push_back(sum);
  }
  return y;
}

std::vector<double> normed(const zeta::NormWeights<ZetaWeights>& w, std::vector<double> x) {
  double mean = 0, variance = 0;
  for (const double v : x) mean += v / static_cast<double>(x.size());
  for (const double v : x) variance += (v - mean) * (v - mean) / static_cast<double>(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto f = static_cast<Index>(i);
    x[i] = (x[i] - mean) / std::sqrt(variance + 1e-5) * w.scale(f) + w.bias(f);
  }
  return x;
}

void expect_definition(const zeta::FeedForwardShape& form) {
  auto shape = small_layers("f", true);
  shape.feed_forward = form;
  shape.feed_forward.width = 28;
  const SmallLayers model{shape};
  const auto& w = model.weights.blocks[0].feed_forward;
  auto s = model.scratch({.rows = 3, .keys = 3});
  const auto x = random<float, 2>({3, 20}, 5);
  zeta::feed_forward(reference, w, shape.feed_forward, x.view(), s);
  for (Index t = 0; t < 3; ++t) {
    const std::vector<double> row(x.view().row(t).data(), x.view().row(t).data() + 20);
    std::vector<double> hidden = linear_of(w.up, row);
    const std::vector<double> gate = form.gated ? linear_of(w.gate, row) : hidden;
    for (std::size_t f = 0; f < hidden.size(); ++f) {
      const double of_gate = bent(form.activation, gate[f]);
      hidden[f] = form.gated ? hidden[f] * of_gate : of_gate;
      if (form.gate_scale) hidden[f] *= w.factor(static_cast<Index>(f));
    }
    if (form.norm_hidden) hidden = normed(w.hidden_norm, hidden);
    const std::vector<double> y = linear_of(w.down, hidden);
    for (Index d = 0; d < 20; ++d) {
      EXPECT_NEAR(s.branch.view()(t, d), form.factor * y[static_cast<std::size_t>(d)], 1e-5);
    }
  }
}

TEST(FeedForward, MatchesTheDefinition) {
  for (const Activation activation :
       {Activation::gelu, Activation::silu, Activation::relu_squared}) {
    expect_definition({.activation = activation});
    expect_definition({.activation = activation, .gated = true});
  }
  expect_definition({.gated = true, .gate_scale = true});
  expect_definition({.norm_hidden = true});
  expect_definition({.bias = false, .factor = 0.5f});
}

// The first half of the stored matrix is the value, the second the gate.
TEST(FeedForward, AGatedOneStoresTheValueFirst) {
  auto shape = small_layers("f", true);
  shape.feed_forward.gated = true;
  const SmallLayers model{shape};
  const auto& w = model.weights.blocks[0].feed_forward;
  EXPECT_EQ(w.gate.weight.data(), w.up.weight.data() + 28 * 20);
  EXPECT_EQ(w.gate.bias.data(), w.up.bias.data() + 28);
}

}  // namespace
}  // namespace paligemma
