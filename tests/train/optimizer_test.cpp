#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "train/adafactor.h"
#include "train/ema.h"
#include "train/muon.h"
#include "train/sgd.h"

namespace paligemma {
namespace {

using namespace test;

const std::string kLayer = "language_model.model.layers.0.self_attn.q_proj.weight";
const std::string kTable = "language_model.model.embed_tokens.weight";
const std::string kPositions = "vision_tower.embeddings.position_embedding.weight";
const std::string kPatches = "vision_tower.embeddings.patch_embedding.weight";
const std::string kHead = "lm_head.weight";
const std::string kDenseHead = "dense_head.weight";
const std::string kNorm = "language_model.model.norm.weight";
const std::string kAdapter =
    "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight";

constexpr double kRate = 0.05, kDecay = 0.3;
constexpr Index kSteps = 4;

Parameter parameter_of(const std::string& name, const std::vector<Index>& shape, unsigned seed) {
  Index rows = shape.size() == 1 ? 1 : shape[0], columns = 1;
  for (std::size_t axis = shape.size() == 1 ? 0 : 1; axis < shape.size(); ++axis) {
    columns *= shape[axis];
  }
  return {name, shape, random<float, 2>({rows, columns}, seed), Buffer<float, 2>({rows, columns})};
}

void set_gradient(Parameter& parameter, unsigned seed) {
  parameter.gradient = random<float, 2>(parameter.value.view().shape(), seed);
}

OptimizerRule rule_of(OptimizerKind kind) {
  OptimizerRule rule;
  rule.kind = kind;
  rule.decay = kDecay;
  return rule;
}

// Moves one parameter by an Optimizer, and a copy of it by move(g, w, step), with the same gradients.
template <class Move>
void expect_moves(const OptimizerRule& rule, const std::string& name,
                  const std::vector<Index>& shape, Tolerance tolerance, const Move& move) {
  SCOPED_TRACE(name + " " + std::to_string(shape[0]));
  std::vector<Parameter> parameters;
  parameters.push_back(parameter_of(name, shape, 1));
  Parameter copy = parameter_of(name, shape, 1);
  Optimizer optimizer(rule, parameters);
  for (Index step = 1; step <= kSteps; ++step) {
    set_gradient(parameters[0], static_cast<unsigned>(10 + step));
    set_gradient(copy, static_cast<unsigned>(10 + step));
    optimizer.step(kRate, step);
    move(std::as_const(copy.gradient).view(), copy.value.view(), step);
    EXPECT_TRUE(close(parameters[0].value.view(), copy.value.view(), tolerance)) << "step " << step;
  }
}

void expect_moves_as_adamw(const OptimizerRule& rule, const std::string& name,
                           const std::vector<Index>& shape) {
  const auto size = parameter_of(name, shape, 1).value.view().shape();
  Buffer<float, 2> m(size), v(size);
  expect_moves(rule, name, shape, kExact, [&](auto g, auto w, Index step) {
    adamw(reference, rule.adamw, kRate, kDecay, step, g, {m.view(), v.view()}, w);
  });
}

// Muon's x, and what the paper does with it.
void expect_moves_as_muon(const std::string& name, Index O, Index I, double matrix_rate = 1) {
  Buffer<float, 2> m({O, I}), x({O, I}), u({O, I});
  const auto move = [&](auto g, auto w, Index) {
    const double size = matrix_rate * 0.2 * std::sqrt(static_cast<double>(std::max(O, I)));
    for (Index i = 0; i < O * I; ++i) {
      m.view().data()[i] = 0.95f * m.view().data()[i] + 0.05f * g.data()[i];
      u.view().data()[i] = 0.95f * m.view().data()[i] + 0.05f * g.data()[i];
    }
    orthogonalize(reference, std::as_const(u).view(), x.view());
    for (Index i = 0; i < O * I; ++i) {
      const double kept = (1 - kRate * kDecay) * double{w.data()[i]};
      w.data()[i] = static_cast<float>(kept - kRate * size * double{x.view().data()[i]});
    }
  };
  OptimizerRule rule = rule_of(OptimizerKind::muon);
  rule.matrix_rate = matrix_rate;
  expect_moves(rule, name, {O, I}, float_sum_of(64, matrix_rate), move);
}

double brought_to_one(double s) {
  for (int i = 0; i < 5; ++i) {
    s = 3.4445 * s - 4.775 * std::pow(s, 3) + 2.0315 * std::pow(s, 5);
  }
  return s;
}

// docs/train/optimizer.md, "By hand": three parameters with one gradient, of which each gets its rule and its decay.
TEST(Optimizer, WorkedExample) {
  std::vector<Parameter> parameters;
  parameters.push_back(parameter_of(kLayer, {2, 2}, 1));
  parameters.push_back(parameter_of(kTable, {2, 2}, 1));
  parameters.push_back(parameter_of(kNorm, {4}, 1));
  for (Parameter& parameter : parameters) {
    const auto w = parameter.value.view(), g = parameter.gradient.view();
    std::fill_n(w.data(), 4, 1.0f);
    g.data()[0] = 3;
    g.data()[3] = -4;
  }
  OptimizerRule rule;
  rule.kind = OptimizerKind::muon;
  rule.decay = 0.5;
  rule.is_decayed = [](const std::string& name) { return name != kNorm; };
  Optimizer(rule, parameters).step(0.1, 1);

  const double size = 0.1 * 0.2 * std::sqrt(2.0), kept = 1 - 0.1 * 0.5;
  const auto layer = rows_of(
      {{kept - size * brought_to_one(0.6), kept}, {kept, kept + size * brought_to_one(0.8)}});
  const auto expect = [&](std::size_t i, const Buffer<float, 2>& expected) {
    EXPECT_TRUE(
        close(std::as_const(parameters[i].value).view(), expected.view(), float_sum_of(40, 0.1)));
  };
  expect(0, layer);
  expect(1, rows_of({{kept - 0.1, kept}, {kept, kept + 0.1}}));
  expect(2, rows_of({{0.9, 1, 1, 1.1}}));
  EXPECT_NEAR(double{layer.view()(0, 0)}, 0.9296, 5e-5);  // as the page rounds them
  EXPECT_NEAR(double{layer.view()(1, 1)}, 0.9817, 5e-5);
}

TEST(Optimizer, MovesAsAdamW) {
  for (const std::string& name : {kLayer, kTable, kPatches}) {
    expect_moves_as_adamw(rule_of(OptimizerKind::adamw), name, {5, 3});
  }
  expect_moves_as_adamw(rule_of(OptimizerKind::adamw), kNorm, {7});
  OptimizerRule other = rule_of(OptimizerKind::adamw);
  other.adamw = {0.8, 0.95, 1e-3};
  expect_moves_as_adamw(other, kLayer, {5, 3});
}

// Wide, tall and square ones, of which muon() itself makes longer steps for the tall.
TEST(Optimizer, MovesMatricesOfLayersAsLiuEtAl) {
  expect_moves_as_muon(kLayer, 3, 8);
  expect_moves_as_muon(kLayer, 8, 3);
  expect_moves_as_muon(kLayer, 4, 4);
  expect_moves_as_muon(kAdapter, 2, 9);
}

// By another rate than all others; the decay is by the same.
TEST(Optimizer, MovesMatricesFasterIfToldTo) {
  for (const double matrix_rate : {0.5, 4.0}) {
    expect_moves_as_muon(kLayer, 3, 8, matrix_rate);
    expect_moves_as_muon(kLayer, 8, 3, matrix_rate);
  }
}

// Whoever it is told to ask, once for each matrix of a layer; here nothing but the decay is left.
TEST(Optimizer, OrthogonalizesAsItIsTold) {
  std::vector<Parameter> parameters;
  parameters.push_back(parameter_of(kLayer, {4, 3}, 1));
  parameters.push_back(parameter_of(kTable, {4, 3}, 1));
  for (Parameter& parameter : parameters) set_gradient(parameter, 2);
  OptimizerRule rule = rule_of(OptimizerKind::muon);
  int asked = 0;
  rule.orthogonalize = [&](View<const float, 2> u, View<float, 2> x) {
    EXPECT_EQ(u.shape(), x.shape());
    zero(reference, x);
    ++asked;
  };
  Optimizer(rule, parameters).step(kRate, 1);
  EXPECT_EQ(asked, 1);
  const Parameter before = parameter_of(kLayer, {4, 3}, 1);
  for (Index i = 0; i < 12; ++i) {
    const double number = before.value.view().data()[i];
    EXPECT_NEAR(double{parameters[0].value.view().data()[i]}, number * (1 - kRate * kDecay),
                8 * kUnitRoundoff);
  }
}

TEST(Optimizer, MovesWhatIsNoLayerAsAdamWBesideMuon) {
  OptimizerRule rule = rule_of(OptimizerKind::muon);
  rule.matrix_rate = 3;  // not theirs
  for (const auto& name : {kTable, kPositions, kHead, kDenseHead}) {
    expect_moves_as_adamw(rule, name, {6, 4});
  }
  expect_moves_as_adamw(rule, kPatches, {5, 3, 2, 2});
  expect_moves_as_adamw(rule, kNorm, {7});
}

// Large matrices by rows and columns; small ones and vectors number by number.
TEST(Optimizer, MovesAsAdafactor) {
  OptimizerRule rule = rule_of(OptimizerKind::adafactor);
  for (const double momentum : {0.9, 0.5}) {
    rule.momentum = momentum;
    for (const std::vector<Index>& shape : std::vector<std::vector<Index>>{
             {40, 33}, {31, 40}, {40, 31}, {64}, {33, 4, 3, 3}, {3, 64}}) {
      const auto size = parameter_of(kLayer, shape, 1).value.view().shape();
      const bool is_factored = size[0] >= 32 && size[1] >= 32;
      Buffer<float, 1> r({is_factored ? size[0] : size[0] * size[1]});
      Buffer<float, 1> c({is_factored ? size[1] : 0});
      Buffer<float, 2> m(size);
      expect_moves(rule, kLayer, shape, kExact, [&](auto g, auto w, Index step) {
        adafactor(reference, momentum, kRate, kDecay, step, g, {r.view(), c.view(), m.view()}, w);
      });
    }
  }
}

TEST(Optimizer, MovesAsSgd) {
  OptimizerRule rule = rule_of(OptimizerKind::sgd);
  for (const double momentum : {0.9, 0.5}) {
    rule.momentum = momentum;
    Buffer<float, 2> m({5, 3});
    expect_moves(rule, kLayer, {5, 3}, kExact, [&](auto g, auto w, Index) {
      sgd(reference, momentum, kRate, kDecay, g, m.view(), w);
    });
  }
}

// Of parameters without a gradient, where AdamW's and Muon's steps are the decay alone.
TEST(Optimizer, DecaysWhatItIsToldTo) {
  for (const OptimizerKind kind :
       {OptimizerKind::adamw, OptimizerKind::muon, OptimizerKind::adafactor, OptimizerKind::sgd}) {
    std::vector<Parameter> parameters;
    parameters.push_back(parameter_of(kLayer, {4, 3}, 1));
    parameters.push_back(parameter_of(kNorm, {7}, 2));
    OptimizerRule rule = rule_of(kind);
    rule.is_decayed = [](const std::string& name) { return name == kLayer; };
    Optimizer(rule, parameters).step(kRate, 1);
    const Parameter layer = parameter_of(kLayer, {4, 3}, 1), norm = parameter_of(kNorm, {7}, 2);
    for (Index i = 0; i < 12; ++i) {
      const double before = layer.value.view().data()[i];
      EXPECT_NEAR(double{parameters[0].value.view().data()[i]}, before * (1 - kRate * kDecay),
                  8 * kUnitRoundoff);
    }
    EXPECT_TRUE(close(parameters[1].value.view(), norm.value.view(), kExact));
  }
}

// "m 5 3", of each parameter.
std::vector<std::string> kept_by(OptimizerKind kind) {
  std::vector<Parameter> parameters;
  parameters.push_back(parameter_of(kLayer, {40, 33}, 1));
  parameters.push_back(parameter_of(kTable, {40, 31}, 1));
  parameters.push_back(parameter_of(kNorm, {50}, 1));
  const Optimizer optimizer(rule_of(kind), parameters);
  std::vector<std::string> all;
  for (const auto& kept : optimizer.kept()) {
    std::string& text = all.emplace_back();
    for (const auto& [name, numbers] : kept) {
      text += (text.empty() ? "" : ", ") + name + " " + shape_text(numbers.view());
      for (Index i = 0; i < numbers.view().count(); ++i) EXPECT_EQ(numbers.view().data()[i], 0);
    }
  }
  return all;
}

TEST(Optimizer, KeepsWhatItsRulesNeed) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(kept_by(OptimizerKind::adamw),
            (Texts{"m [40, 33], v [40, 33]", "m [40, 31], v [40, 31]", "m [1, 50], v [1, 50]"}));
  EXPECT_EQ(kept_by(OptimizerKind::muon),
            (Texts{"m [40, 33]", "m [40, 31], v [40, 31]", "m [1, 50], v [1, 50]"}));
  EXPECT_EQ(kept_by(OptimizerKind::sgd), (Texts{"m [40, 33]", "m [40, 31]", "m [1, 50]"}));
  EXPECT_EQ(kept_by(OptimizerKind::adafactor),
            (Texts{"r [1, 40], c [1, 33], m [40, 33]", "r [1, 1240], c [1, 0], m [40, 31]",
                   "r [1, 50], c [1, 0], m [1, 50]"}));
}

// One that is given what another kept goes on as that one.
TEST(Optimizer, GoesOnFromWhatWasKept) {
  for (const OptimizerKind kind :
       {OptimizerKind::adamw, OptimizerKind::muon, OptimizerKind::adafactor, OptimizerKind::sgd}) {
    std::vector<Parameter> first, second;
    for (std::vector<Parameter>* parameters : {&first, &second}) {
      parameters->push_back(parameter_of(kLayer, {40, 33}, 1));
      parameters->push_back(parameter_of(kNorm, {7}, 2));
    }
    OptimizerRule rule = rule_of(kind);
    rule.ema = 0.9;
    Optimizer one(rule, first), other(rule, second);
    const auto step = [&](Optimizer& optimizer, std::vector<Parameter>& parameters, Index number) {
      for (Parameter& parameter : parameters) {
        set_gradient(parameter, static_cast<unsigned>(10 + number));
      }
      optimizer.step(kRate, number);
    };
    step(one, first, 1);
    step(one, first, 2);
    for (std::size_t i = 0; i < first.size(); ++i) {
      copy(reference, std::as_const(first[i].value).view(), second[i].value.view());
      for (std::size_t k = 0; k < one.kept()[i].size(); ++k) {
        copy(reference, std::as_const(one.kept()[i][k].numbers).view(),
             other.kept()[i][k].numbers.view());
      }
    }
    step(one, first, 3);
    step(other, second, 3);
    for (std::size_t i = 0; i < first.size(); ++i) {
      EXPECT_TRUE(close(second[i].value.view(), first[i].value.view(), kExact));
      EXPECT_TRUE(close(other.kept()[i].back().numbers.view(), one.kept()[i].back().numbers.view(),
                        kExact));
    }
  }
}

constexpr OptimizerKind kKinds[] = {OptimizerKind::adamw, OptimizerKind::muon,
                                    OptimizerKind::adafactor, OptimizerKind::sgd};

// Beside what the rule keeps, and without a difference to what it does.
TEST(Optimizer, KeepsTheMeanOfLateValues) {
  for (const OptimizerKind kind : kKinds) {
    std::vector<Parameter> first, second;
    for (std::vector<Parameter>* parameters : {&first, &second}) {
      parameters->push_back(parameter_of(kLayer, {40, 33}, 1));
      parameters->push_back(parameter_of(kNorm, {7}, 2));
    }
    OptimizerRule rule = rule_of(kind);
    Optimizer plain(rule, second);
    rule.ema = 0.75;
    Optimizer optimizer(rule, first);
    std::vector<Buffer<float, 2>> means;
    means.push_back(random<float, 2>({40, 33}, 1));
    means.push_back(random<float, 2>({1, 7}, 2));
    const auto expect_means = [&] {
      for (std::size_t i = 0; i < 2; ++i) {
        const auto& kept = optimizer.kept()[i];
        EXPECT_EQ(kept.size(), plain.kept()[i].size() + 1);
        EXPECT_EQ(kept.back().name, "mean");
        EXPECT_TRUE(close(kept.back().numbers.view(), means[i].view(), kExact));
      }
    };
    expect_means();
    for (Index step = 1; step <= kSteps; ++step) {
      for (std::vector<Parameter>* parameters : {&first, &second}) {
        for (Parameter& parameter : *parameters) {
          set_gradient(parameter, static_cast<unsigned>(10 + step));
        }
      }
      optimizer.step(kRate, step);
      plain.step(kRate, step);
      for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_TRUE(close(first[i].value.view(), second[i].value.view(), kExact));
        ema(reference, 0.75, std::as_const(second[i].value).view(), means[i].view());
      }
      expect_means();
    }
  }
}

TEST(Optimizer, ExchangesValuesAndMeans) {
  for (const double decay : {0.0, 0.9}) {
    std::vector<Parameter> parameters;
    parameters.push_back(parameter_of(kLayer, {4, 3}, 1));
    parameters.push_back(parameter_of(kNorm, {7}, 2));
    for (Parameter& parameter : parameters) set_gradient(parameter, 3);
    OptimizerRule rule;
    rule.ema = decay;
    Optimizer optimizer(rule, parameters);
    EXPECT_EQ(optimizer.has_means(), decay > 0);
    optimizer.step(kRate, 1);
    const auto value = [&](std::size_t i) { return parameters[i].value.view().data(); };
    const auto mean = [&](std::size_t i) {
      return optimizer.kept()[i].back().numbers.view().data();
    };
    std::vector<std::vector<float>> values, means;
    for (const std::size_t i : {0, 1}) {
      const auto count = parameters[i].value.view().count();
      values.emplace_back(value(i), value(i) + count);
      means.emplace_back(mean(i), mean(i) + count);
      EXPECT_NE(values[i], means[i]);
    }
    for (const bool exchanged : {true, false}) {
      optimizer.exchange_means();
      for (const std::size_t i : {0, 1}) {
        const bool is_mean = exchanged && decay > 0;
        EXPECT_TRUE(std::ranges::equal(is_mean ? means[i] : values[i],
                                       std::span(value(i), values[i].size())));
        EXPECT_TRUE(std::ranges::equal(is_mean ? values[i] : means[i],
                                       std::span(mean(i), values[i].size())));
      }
    }
  }
}

TEST(Optimizer, IsAdamWWithoutDecayUnlessTold) {
  const OptimizerRule rule;
  EXPECT_EQ(rule.kind, OptimizerKind::adamw);
  EXPECT_EQ(rule.decay, 0);
  EXPECT_TRUE(rule.is_decayed(kNorm));
  EXPECT_EQ(rule.momentum, 0.9);
  EXPECT_EQ(rule.matrix_rate, 1);
  EXPECT_EQ(rule.ema, 0);
}

TEST(Optimizer, IsKnownByItsName) {
  EXPECT_EQ(optimizer_named("adamw"), OptimizerKind::adamw);
  EXPECT_EQ(optimizer_named("muon"), OptimizerKind::muon);
  EXPECT_EQ(optimizer_named("adafactor"), OptimizerKind::adafactor);
  EXPECT_EQ(optimizer_named("sgd"), OptimizerKind::sgd);
  EXPECT_EQ(optimizer_named("adam"), std::nullopt);
  EXPECT_EQ(optimizer_named(""), std::nullopt);
}

TEST(Optimizer, RefusesAStepBeforeTheFirst) {
  std::vector<Parameter> parameters;
  parameters.push_back(parameter_of(kLayer, {4, 3}, 1));
  Optimizer optimizer(rule_of(OptimizerKind::adamw), parameters);
  EXPECT_THROW(optimizer.step(kRate, 0), ContractError);
}

}  // namespace
}  // namespace paligemma
