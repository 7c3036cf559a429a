#include "gemma/geglu.h"

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

// GELU adds 1 and a tanh, which nearly cancel for a large negative gate: a sum of two terms, whose
// error is measured against the largest |gate up| / 2 (1 + |tanh|). The few other operations are in
// the constant of float_sum_of.
Tolerance tolerance(double largest_product) { return float_sum_of(2, largest_product); }

// docs/gemma/geglu.md, "By hand".
TEST(Geglu, WorkedExample) {
  const auto gate = rows_of({{1, -1, 2}}), up = rows_of({{2, 2, -0.5}});
  Buffer<float, 2> y({1, 3});
  geglu(reference, GeluForm::tanh, gate.view(), up.view(), y.view());
  const auto expected = rows_of({{1.6823840, -0.31761602, -0.97729885}});
  EXPECT_TRUE(close(y.view(), expected.view(), tolerance(2)));
}

// The definition again, in double. It shares no code with what it judges.
double gelu_again(GeluForm form, double x) {
  if (form == GeluForm::exact) return x / 2 * std::erfc(-x / std::sqrt(2.0));
  // 1 + tanh(a) = 2 / (1 + e^-2a)
  const double a = std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * std::pow(x, 3));
  return x / (1 + std::exp(-2 * a));
}

Buffer<float, 2> oracle(GeluForm form, View<const float, 2> gate, View<const float, 2> up) {
  Buffer<float, 2> y(gate.shape());
  for (Index t = 0; t < gate.size(0); ++t) {
    for (Index f = 0; f < gate.size(1); ++f) {
      y.view()(t, f) = static_cast<float>(gelu_again(form, gate(t, f)) * up(t, f));
    }
  }
  return y;
}

// Gates between -4 and 4, where GELU bends.
Buffer<float, 2> random_gates(Index T, Index F) {
  auto gate = random<float, 2>({T, F}, 1);
  for (Index i = 0; i < gate.view().count(); ++i) gate.view().data()[i] *= 4;
  return gate;
}

// 16384 is Gemma 2B; 56 is the golden PaliGemma 1.
TEST(Geglu, MatchesTheDefinition) {
  for (GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
    for (Index F : {1, 7, 56, 255, 257, 16384}) {
      const auto gate = random_gates(3, F);
      const auto up = random<float, 2>({3, F}, 2);
      Buffer<float, 2> y({3, F});
      geglu(reference, form, gate.view(), up.view(), y.view());
      const auto expected = oracle(form, gate.view(), up.view());
      EXPECT_TRUE(close(y.view(), expected.view(), tolerance(4))) << "F = " << F;
    }
  }
}

// The other way round the answer would be gelu(2) * 1 = 1.95, not gelu(1) * 2 = 1.68.
TEST(Geglu, TheGateGetsTheGelu) {
  const auto gate = rows_of({{1, -10}}), up = rows_of({{2, 3}});
  Buffer<float, 2> y({1, 2});
  geglu(reference, GeluForm::tanh, gate.view(), up.view(), y.view());
  EXPECT_LT(y.view()(0, 0), 1.7f);
  EXPECT_EQ(y.view()(0, 1), 0);  // a closed gate lets nothing through
}

// The two forms differ most near |x| = 2.7, by 4.7e-4.
TEST(Geglu, TheFormIsTheOneAskedFor) {
  const auto gate = rows_of({{-2.7}}), up = rows_of({{1}});
  Buffer<float, 2> y({1, 1});
  geglu(reference, GeluForm::tanh, gate.view(), up.view(), y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{-0.0088875946}}).view(), tolerance(2.7)));
  geglu(reference, GeluForm::exact, gate.view(), up.view(), y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{-0.0093608293}}).view(), tolerance(2.7)));
}

TEST(Geglu, UpIsAFactorAndNothingElse) {
  const auto gate = random_gates(3, 64);
  auto up = random<float, 2>({3, 64}, 2);
  Buffer<float, 2> y({3, 64}), y_8({3, 64});
  geglu(reference, GeluForm::tanh, gate.view(), up.view(), y.view());
  for (Index i = 0; i < up.view().count(); ++i) up.view().data()[i] *= -8;
  geglu(reference, GeluForm::tanh, gate.view(), up.view(), y_8.view());
  for (Index i = 0; i < y.view().count(); ++i) {
    EXPECT_EQ(y_8.view().data()[i], -8 * y.view().data()[i]);  // a power of two rounds nothing
  }
}

TEST(Geglu, MayWriteOverItsGateOrItsOtherFactor) {
  auto gate = random_gates(3, 64), up = random<float, 2>({3, 64}, 2);
  Buffer<float, 2> y({3, 64});
  geglu(reference, GeluForm::tanh, gate.view(), up.view(), y.view());
  auto gate_again = random_gates(3, 64);
  geglu(reference, GeluForm::tanh, gate_again.view(), up.view(), gate_again.view());
  EXPECT_TRUE(close(gate_again.view(), y.view(), kExact));
  geglu(reference, GeluForm::tanh, gate.view(), up.view(), up.view());
  EXPECT_TRUE(close(up.view(), y.view(), kExact));
}

// Gate and up as the two halves of one table, as checkpoints with a fused projection have them.
TEST(Geglu, TakesTheHalvesOfOneTable) {
  const auto table = random_gates(3, 20);
  const View<const float, 2> gate(table.view().data(), {3, 10}, {20, 1}),
      up(table.view().data() + 10, {3, 10}, {20, 1});
  Buffer<float, 2> y({3, 10});
  geglu(reference, GeluForm::tanh, gate, up, y.view());
  EXPECT_TRUE(close(y.view(), oracle(GeluForm::tanh, gate, up).view(), tolerance(16)));
}

TEST(Geglu, RejectsWrongShapes) {
  const auto gate = random_gates(3, 64);
  const auto up = random<float, 2>({3, 64}, 2), short_up = random<float, 2>({3, 63}, 2);
  Buffer<float, 2> y({3, 64}), short_y({2, 64});
  EXPECT_THROW(geglu(reference, GeluForm::tanh, gate.view(), short_up.view(), y.view()),
               ContractError);
  EXPECT_THROW(geglu(reference, GeluForm::tanh, gate.view(), up.view(), short_y.view()),
               ContractError);
}

// ---- backward --------------------------------------------------------------------------------------

// docs/gemma/geglu.md, "Backward": of a gate at 0 the slope is 1/2 and the value 0.
TEST(GegluBackward, WorkedExample) {
  const auto gate = rows_of({{0, 20}}), up = rows_of({{3, 4}}), dy = rows_of({{2, 2}});
  Buffer<float, 2> dgate({1, 2}), dup({1, 2});
  geglu_backward(reference, GeluForm::tanh, gate.view(), up.view(), dy.view(), dgate.view(),
                 dup.view());
  EXPECT_TRUE(close(dgate.view(), rows_of({{3, 8}}).view(), kExact));
  EXPECT_TRUE(close(dup.view(), rows_of({{0, 40}}).view(), kExact));
}

TEST(GegluBackward, IsTheSlopeOfTheDefinition) {
  const auto gate = random<float, 2>({3, 35}, 1), up = random<float, 2>({3, 35}, 2),
             dy = random<float, 2>({3, 35}, 3);
  for (const GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
    const auto definition = [form](const Doubles& g, const Doubles& u) {
      Doubles y;
      for (std::size_t i = 0; i < g.size(); ++i) {
        const double inner = std::sqrt(2 / M_PI) * (g[i] + 0.044715 * std::pow(g[i], 3));
        const double part =
            form == GeluForm::tanh ? std::tanh(inner) : std::erf(g[i] / std::sqrt(2));
        y.push_back(g[i] / 2 * (1 + part) * u[i]);
      }
      return y;
    };
    Buffer<float, 2> dgate({3, 35}), dup({3, 35});
    geglu_backward(reference, form, gate.view(), up.view(), dy.view(), dgate.view(), dup.view());
    const Doubles g = doubles(gate), u = doubles(up);
    EXPECT_TRUE(is_gradient(
        dgate,
        gradient_of([&](const Doubles& changed) { return definition(changed, u); }, g, doubles(dy)),
        8));
    EXPECT_TRUE(is_gradient(
        dup,
        gradient_of([&](const Doubles& changed) { return definition(g, changed); }, u, doubles(dy)),
        8));
  }
}

TEST(GegluBackward, MayWriteInPlace) {
  auto gate = random<float, 2>({3, 5}, 1), up = random<float, 2>({3, 5}, 2);
  const auto dy = random<float, 2>({3, 5}, 3);
  Buffer<float, 2> dgate({3, 5}), dup({3, 5});
  const auto run = [&](View<float, 2> to_gate, View<float, 2> to_up) {
    geglu_backward(reference, GeluForm::tanh, gate.view(), up.view(), dy.view(), to_gate, to_up);
  };
  run(dgate.view(), dup.view());
  run(gate.view(), up.view());
  EXPECT_TRUE(close(gate.view(), dgate.view(), kExact));
  EXPECT_TRUE(close(up.view(), dup.view(), kExact));
}

TEST(GegluBackward, RejectsWrongShapes) {
  Buffer<float, 2> a({3, 5}), b({5, 3});
  const auto run = [](Buffer<float, 2>& up, Buffer<float, 2>& dy, Buffer<float, 2>& dgate,
                      Buffer<float, 2>& dup) {
    const Buffer<float, 2> gate({3, 5});
    geglu_backward(reference, GeluForm::tanh, gate.view(), up.view(), dy.view(), dgate.view(),
                   dup.view());
  };
  EXPECT_NO_THROW(run(a, a, a, a));
  EXPECT_THROW(run(b, a, a, a), ContractError);
  EXPECT_THROW(run(a, b, a, a), ContractError);
  EXPECT_THROW(run(a, a, b, a), ContractError);
  EXPECT_THROW(run(a, a, a, b), ContractError);
}

}  // namespace
}  // namespace paligemma
