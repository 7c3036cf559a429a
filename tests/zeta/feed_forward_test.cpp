#include "zeta/feed_forward.h"

#include <cmath>
#include <vector>

#include "tests/support/zeta.h"

namespace paligemma {
namespace {

using namespace test;

double gelu_of(double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }

// In double, from the same weights.
std::vector<double> linear_of(const Linear<ZetaWeights>& w, const std::vector<double>& x) {
  std::vector<double> y;
  for (Index o = 0; o < w.weight.size(0); ++o) {
    double sum = w.bias.data() == nullptr ? 0 : w.bias(o);
    for (Index i = 0; i < w.weight.size(1); ++i)
      sum += x[static_cast<std::size_t>(i)] * w.weight(o, i);
    y.push_back(sum);
  }
  return y;
}

class FeedForward : public ::testing::TestWithParam<bool> {};  // gated or not

TEST_P(FeedForward, MatchesTheDefinition) {
  auto shape = small_layers("f", true);
  shape.feed_forward.gated = GetParam();
  const SmallLayers model{shape};
  const auto& w = model.weights.blocks[0].feed_forward;
  auto s = model.scratch({.rows = 3, .keys = 3});
  const auto x = random<float, 2>({3, 20}, 5);
  zeta::feed_forward(reference, w, shape.feed_forward, x.view(), s);
  for (Index t = 0; t < 3; ++t) {
    const std::vector<double> row(x.view().row(t).data(), x.view().row(t).data() + 20);
    std::vector<double> hidden = linear_of(w.up, row);
    const std::vector<double> gate = GetParam() ? linear_of(w.gate, row) : hidden;
    for (std::size_t f = 0; f < hidden.size(); ++f) {
      hidden[f] = GetParam() ? hidden[f] * gelu_of(gate[f]) : gelu_of(hidden[f]);
    }
    const std::vector<double> y = linear_of(w.down, hidden);
    for (Index d = 0; d < 20; ++d) {
      EXPECT_NEAR(s.branch.view()(t, d), y[static_cast<std::size_t>(d)], 1e-5);
    }
  }
}

// The first half of the stored matrix is the value, the second the gate.
TEST_P(FeedForward, AGatedOneStoresTheValueFirst) {
  auto shape = small_layers("f", true);
  shape.feed_forward.gated = true;
  const SmallLayers model{shape};
  const auto& w = model.weights.blocks[0].feed_forward;
  EXPECT_EQ(w.gate.weight.data(), w.up.weight.data() + 28 * 20);
  EXPECT_EQ(w.gate.bias.data(), w.up.bias.data() + 28);
}

INSTANTIATE_TEST_SUITE_P(, FeedForward, ::testing::Bool());

}  // namespace
}  // namespace paligemma
