// Optimizer: which rule moves which parameter, and what it keeps from step to step.
//
//   adamw       train/adamw.h of each
//   muon        train/muon.h of the matrices of layers; adamw of vectors, tables that are looked up, and heads
//   adafactor   train/adafactor.h of each
//   sgd         train/sgd.h of each
//
// One learning rate does for all, since Muon's steps are brought to the length of AdamW's:
//
//   w = w - rate decay w
//   w = w - rate matrix_rate 0.2 sqrt( max(O, I) ) x      x [O, I] of train/muon.h, matrix_rate 1 unless it is said
//
// With `ema` it keeps the mean of each weight's late values too, whatever moves it.
//
// Paper: Liu et al. 2025, "Muon is scalable for LLM training", section 2.2.
//
// Read next: train/adamw.h.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/adamw.h"
#include "train/muon.h"
#include "train/parameters.h"

namespace paligemma {

enum class OptimizerKind { adamw, muon, adafactor, sgd };
std::optional<OptimizerKind> optimizer_named(std::string_view name);

struct OptimizerRule {
  OptimizerKind kind = OptimizerKind::adamw;
  double decay = 0;  // of weights
  std::function<bool(const std::string& name)> is_decayed = [](const std::string&) { return true; };
  AdamWRule adamw = {};
  double momentum = 0.9;   // of Adafactor and SGD; Muon's is 0.95
  double matrix_rate = 1;  // how many times faster Muon moves its matrices
  Orthogonalize orthogonalize = orthogonalize_plainly;  // of Muon
  double ema = 0;  // above 0 the mean of late values is kept (train/ema.h)
};

class Optimizer {
 public:
  // The parameters live as long as this does.
  Optimizer(OptimizerRule rule, std::vector<Parameter>& parameters);

  // Moves all by their gradients; the first step is 1.
  void step(double rate, Index step);

  // Each value changes places with its mean. Nothing happens where there are no means.
  void exchange_means();
  bool has_means() const { return rule_.ema > 0; }

  // What is kept of a parameter, each as one row: "m", "v", "r", "c" or "mean", and the numbers.
  struct Kept {
    std::string name;
    Buffer<float, 2> numbers;
  };
  std::span<std::vector<Kept>> kept() { return kept_; }  // in the order of the parameters
  std::span<const std::vector<Kept>> kept() const { return kept_; }

 private:
  OptimizerKind kind_of(const Parameter& parameter) const;

  OptimizerRule rule_;
  std::vector<Parameter>* parameters_;
  std::vector<std::vector<Kept>> kept_;
};

}  // namespace paligemma
