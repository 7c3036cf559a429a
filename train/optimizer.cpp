#include "train/optimizer.h"

#include <algorithm>
#include <cmath>

#include "tensor/buffer.h"
#include "train/adafactor.h"
#include "train/ema.h"
#include "train/sgd.h"

namespace paligemma {
namespace {

constexpr double kMuonMomentum = 0.95;

}  // namespace

std::optional<OptimizerKind> optimizer_named(std::string_view name) {
  if (name == "adamw") return OptimizerKind::adamw;
  if (name == "muon") return OptimizerKind::muon;
  if (name == "adafactor") return OptimizerKind::adafactor;
  if (name == "sgd") return OptimizerKind::sgd;
  return std::nullopt;
}

// Of all matrices tables of words and positions are looked up, and a head stands behind all layers.
OptimizerKind Optimizer::kind_of(const Parameter& parameter) const {
  const auto has = [&](const char* part) { return parameter.name.find(part) != std::string::npos; };
  const bool is_layer = parameter.is_matrix() && !has("embed") && !has("head");
  return rule_.kind == OptimizerKind::muon && !is_layer ? OptimizerKind::adamw : rule_.kind;
}

Optimizer::Optimizer(OptimizerRule rule, std::vector<Parameter>& parameters)
    : rule_(std::move(rule)), parameters_(&parameters) {
  for (const Parameter& parameter : parameters) {
    const auto size = parameter.value.view().shape();
    std::vector<Kept>& kept = kept_.emplace_back();
    const auto keep = [&kept](const char* name, std::array<Index, 2> shape) {
      kept.push_back({name, Buffer<float, 2>(shape)});
    };
    switch (kind_of(parameter)) {
      case OptimizerKind::adamw:
        keep("m", size);
        keep("v", size);
        break;
      case OptimizerKind::adafactor: {
        const bool factored = is_factored(size[0], size[1]);
        keep("r", {1, factored ? size[0] : size[0] * size[1]});
        keep("c", {1, factored ? size[1] : 0});
        keep("m", size);
        break;
      }
      case OptimizerKind::muon:
      case OptimizerKind::sgd:
        keep("m", size);
    }
    if (has_means()) {
      keep("mean", size);
      copy(reference, parameter.value.view(), kept.back().numbers.view());
    }
  }
}

void Optimizer::step(double rate, Index step) {
  for (std::size_t i = 0; i < parameters_->size(); ++i) {
    Parameter& parameter = (*parameters_)[i];
    const View<const float, 2> g = parameter.gradient.view();
    const auto w = parameter.value.view();
    const auto kept = [&](std::size_t k) { return kept_[i][k].numbers.view(); };
    const double decay = rule_.is_decayed(parameter.name) ? rule_.decay : 0;
    switch (kind_of(parameter)) {
      case OptimizerKind::adamw:
        adamw(reference, rule_.adamw, rate, decay, step, g, {kept(0), kept(1)}, w);
        break;
      case OptimizerKind::muon: {  // muon() scales by the root of max(1, O / I) itself
        const auto O = static_cast<double>(w.size(0)), I = static_cast<double>(w.size(1));
        const double factor = 0.2 * std::sqrt(std::max(O, I)) / std::sqrt(std::max(1.0, O / I));
        muon(reference, kMuonMomentum, rate * rule_.matrix_rate * factor,
             decay / (rule_.matrix_rate * factor), g, kept(0), w, rule_.orthogonalize);
        break;
      }
      case OptimizerKind::adafactor:
        adafactor(reference, rule_.momentum, rate, decay, step, g,
                  {kept(0).row(0), kept(1).row(0), kept(2)}, w);
        break;
      case OptimizerKind::sgd:
        sgd(reference, rule_.momentum, rate, decay, g, kept(0), w);
    }
    if (has_means()) {
      ema(reference, rule_.ema, parameter.value.view(), kept_[i].back().numbers.view());
    }
  }
}

void Optimizer::exchange_means() {
  if (!has_means()) return;
  for (std::size_t i = 0; i < parameters_->size(); ++i) {
    const auto value = (*parameters_)[i].value.view(), mean = kept_[i].back().numbers.view();
    std::swap_ranges(value.data(), value.data() + value.count(), mean.data());
  }
}

}  // namespace paligemma
