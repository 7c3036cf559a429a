#include "tiny/stages.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "tensor/philox.h"

namespace paligemma::tiny {
namespace {

constexpr Index kCoordinates = 1024;

// Two uniform numbers become a normal one (Box and Muller).
double normal(std::uint64_t seed, std::uint64_t place) {
  const double a = 1 - philox_uniform(seed, 2 * place), b = philox_uniform(seed, 2 * place + 1);
  return std::sqrt(-2 * std::log(a)) * std::cos(2 * std::numbers::pi * b);
}

// Row i of `count` is the coordinate i / (count - 1), in frequencies from half a turn to 32 turns.
void place_coordinates(View<float, 2> rows) {
  const Index D = rows.size(1), frequencies = D / 4;
  for (Index i = 0; i < rows.size(0); ++i) {
    const double at = static_cast<double>(i) / static_cast<double>(rows.size(0) - 1);
    for (Index f = 0; f < frequencies; ++f) {
      const double octaves = 6 * static_cast<double>(f) / static_cast<double>(frequencies - 1);
      const double angle = std::numbers::pi * std::exp2(octaves) * at;
      rows(i, f) = static_cast<float>(0.12 * std::sin(angle));
      rows(i, frequencies + f) = static_cast<float>(0.12 * std::cos(angle));
    }
    for (Index d = 2 * frequencies; d < D; ++d) rows(i, d) *= 0.2f;
  }
}

}  // namespace

std::span<const Stage> stages() {
  static constexpr std::array<Stage, 3> kStages{{
      {.name = "vision",
       .pictures = 64,
       .at_once = 8,
       .rate = 2e-3,
       .matrix_rate = 4.4,
       .schedule = {.decay = Decay::cosine, .warmup = 200, .steps = 1600},
       .first_scene = 0,
       .texts = 0.25,
       .asks = false,
       .hard = false,
       .settles = 1},
      {.name = "joint",
       .pictures = 32,
       .at_once = 4,
       .rate = 2e-3,
       .matrix_rate = 1.1,
       .schedule = {.decay = Decay::linear, .warmup = 100, .steps = 3600, .flat = 1340},
       .first_scene = 1 << 24,
       .texts = 0.4,
       .asks = true,
       .hard = false,
       .settles = 2.0 / 3},
      {.name = "polish",
       .pictures = 32,
       .at_once = 4,
       .rate = 1e-3,
       .matrix_rate = 1.1,
       .schedule = {.decay = Decay::linear, .warmup = 100, .steps = 2400},
       .first_scene = 1 << 25,
       .texts = 0.4,
       .asks = true,
       .hard = true,
       .settles = 0},
  }};
  return kStages;
}

double settled(const Stage& stage, Index step) {
  const double done = static_cast<double>(step - 1) / static_cast<double>(stage.schedule.steps);
  return done < stage.settles ? done / stage.settles : 1;
}

OptimizerRule optimizer_rule(const Stage& stage) {
  OptimizerRule rule;
  rule.kind = OptimizerKind::muon;
  rule.decay = 0.01;
  rule.adamw = {.beta1 = 0.9, .beta2 = 0.95};
  rule.matrix_rate = stage.matrix_rate;
  return rule;
}

void begin(std::vector<Parameter>& parameters, TokenId first, std::uint64_t seed) {
  std::uint64_t place = 0;
  double bound = 0;  // of the matrix before, which its bias has too
  for (Parameter& parameter : parameters) {
    const auto value = parameter.value.view();
    const auto has = [&](const char* part) {
      return parameter.name.find(part) != parameter.name.npos;
    };
    const bool is_words = has("embed_tokens"), is_table = is_words || has("position_embedding");
    const bool is_norm = has("norm"), is_bias = parameter.name.ends_with(".bias");
    if (!is_bias) bound = 1 / std::sqrt(static_cast<double>(value.size(1)));
    for (Index i = 0; i < value.count(); ++i, ++place) {
      const double uniform = 2 * philox_uniform(seed, place) - 1;
      double number = bound * uniform;
      if (is_table) number = normal(seed + 1, place) * (is_words ? bound : 0.02);
      if (is_norm)
        number = has("vision_tower") && !is_bias ? 1 : 0;  // Gemma's are stored minus one
      value.data()[i] = static_cast<float>(number);
    }
    if (is_words) place_coordinates(value.rows(first, first + kCoordinates));
  }
}

void take(const std::vector<Parameter>& from, std::vector<Parameter>& to) {
  for (const Parameter& parameter : from) {
    const auto found = std::ranges::find(to, parameter.name, &Parameter::name);
    if (found != to.end()) copy(reference, parameter.value.view(), found->value.view());
  }
}

}  // namespace paligemma::tiny
