// What a phase of a model does at least, and medians of how long it takes: for what measures it.
#pragma once

#include <algorithm>
#include <chrono>
#include <string_view>
#include <vector>

#include "fast/core/probe.h"
#include "fast/paligemma/measure.h"
#include "paligemma/config.h"
#include "paligemma/weights.h"

namespace paligemma {
namespace {

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// What a phase does at least.
struct Work {
  double operations, bytes;
  double floor_ms(double peak, double read) const {
    return 1e3 * std::max(operations / peak, bytes / read);
  }
};

double numbers(const std::vector<ExpectedTensor>& tensors, std::string_view prefix) {
  double all = 0;
  for (const auto& [name, shape] : tensors) {
    double count = 1;
    for (const Index size : shape) count *= static_cast<double>(size);
    if (name.starts_with(prefix) && shape.size() > 1) all += count;
  }
  return all;
}

// Operations are two for each weight and row, and attention's two products. Of the head and the embedding,
// which are one matrix where they are tied, the head's product for one row of a sequence counts.
class Floors {
 public:
  Floors(const Config& config, double bytes_per_weight)
      : vision_(config.vision), text_(config.text), bytes_(bytes_per_weight) {
    const auto tensors = expected_tensors(config);
    vision_weights_ = numbers(tensors, "vision_tower.") -
                      static_cast<double>(vision_.patches() * vision_.width) +
                      numbers(tensors, "multi_modal_projector.");
    layer_weights_ = numbers(tensors, "language_model.model.layers.");
    head_ = static_cast<double>(text_.vocabulary * text_.width);
  }

  Work encode() const {
    const auto L = static_cast<double>(vision_.patches());
    const double attention = 4 * L * L * static_cast<double>(vision_.width * vision_.layers);
    return {2 * L * vision_weights_ + attention, vision_weights_ * std::max(bytes_, 2.0)};
  }
  // T tokens behind `depth` others, of each of so many sequences.
  Work decoder(Index T, Index depth, Index sequences = 1) const {
    const auto rows = static_cast<double>(T), keys = static_cast<double>(depth + T),
               each = static_cast<double>(sequences);
    const double attention =
        4 * rows * keys * static_cast<double>(text_.heads * text_.head_size * text_.layers);
    const double cache = 2 * keys * sizeof(float) *
                         static_cast<double>(text_.kv_heads * text_.head_size * text_.layers);
    return {each * (2 * (rows * layer_weights_ + head_) + attention),
            (layer_weights_ + head_) * bytes_ + each * cache};
  }
  // A picture and T tokens that are learned, the last S of them with the head's product: so many times the operations
  // of each tower's way there.
  Work learning(Index T, Index S, double vision_times, double text_times) const {
    const double text =
        decoder(T, 0).operations + 2 * head_ * static_cast<double>(std::max(Index{0}, S - 1));
    return {vision_times * encode().operations + text_times * text,
            vision_times * encode().bytes + text_times * decoder(T, 0).bytes};
  }

 private:
  siglip::EncoderShape vision_;
  gemma::DecoderShape text_;
  double bytes_, vision_weights_, layer_weights_, head_;
};

struct Samples {
  std::vector<double> ms, floor_ms, multiple;
  void add(double milliseconds, double floor) {
    ms.push_back(milliseconds);
    floor_ms.push_back(floor);
    multiple.push_back(milliseconds / floor);
  }
  Measured median_of() const { return {median(ms), median(floor_ms), median(multiple)}; }
};

double peak(const Limits& limits, WeightFormat format) {
  if (is_quantized(format)) return limits.int8;
  return format == WeightFormat::bf16 ? limits.bf16 : limits.f32;
}

// Each limit's median.
Limits median_of(const std::vector<Limits>& limits) {
  const auto one = [&](double Limits::*limit) {
    std::vector<double> all;
    all.reserve(limits.size());
    for (const Limits& l : limits) all.push_back(l.*limit);
    return median(all);
  };
  return {one(&Limits::f32), one(&Limits::bf16), one(&Limits::int8), one(&Limits::read)};
}

// Of the language model's weights. The vision tower's are not quantised.
template <class Real>
constexpr double kBytesPerWeight = sizeof(Real);
template <>
constexpr double kBytesPerWeight<Int8Block> = sizeof(Int8Block) / static_cast<double>(kBlock);
template <>
constexpr double kBytesPerWeight<Int4Block> = sizeof(Int4Block) / static_cast<double>(kBlock);

}  // namespace
}  // namespace paligemma
