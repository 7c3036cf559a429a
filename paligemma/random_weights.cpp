#include "paligemma/random_weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <span>

#include "paligemma/new_model.h"
#include "tensor/numbers.h"
#include "tensor/philox.h"
#include "tensor/safetensors_writer.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

Index count_of(const ExpectedTensor& tensor) {
  return std::accumulate(tensor.shape.begin(), tensor.shape.end(), Index{1}, std::multiplies<>());
}

// Uniform in [-1, 1) times this, plus that.
struct Spread {
  float width, center;
};

Spread spread_of(const ExpectedTensor& tensor) {
  const bool is_gemmas = tensor.name.starts_with("language_model.");
  if (tensor.shape.size() > 1) {
    const Index inputs = count_of(tensor) / tensor.shape[0];
    return {std::sqrt(3.0f / static_cast<float>(inputs)), 0.0f};
  }
  if (tensor.name.ends_with(".bias")) return {0.02f, 0.0f};
  return {0.1f, is_gemmas ? 0.0f : 1.0f};
}

constexpr Index kPerBlock = 8;  // 16-bit halves of one Philox block

// Numbers begin .. end - 1 of a tensor; both are multiples of kPerBlock, or the tensor's end.
std::vector<bf16> random_numbers(std::uint64_t seed, std::uint32_t place, Spread spread,
                                 Index begin, Index end) {
  std::vector<bf16> numbers(static_cast<std::size_t>(end - begin));
#pragma omp parallel for
  for (Index first = begin; first < end; first += kPerBlock) {
    const auto block = static_cast<std::uint64_t>(first / kPerBlock);
    const PhiloxBlock bits = philox(
        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), place, 0});
    for (Index i = first; i < std::min(end, first + kPerBlock); ++i) {
      const auto lane = static_cast<std::size_t>(i - first);
      const std::uint32_t half = bits[lane / 2] >> (16 * (lane % 2)) & 0xffffu;
      const float uniform = static_cast<float>(half) * 0x1p-15f - 1.0f;
      numbers[static_cast<std::size_t>(i - begin)] =
          narrow<bf16>(spread.center + spread.width * uniform);
    }
  }
  return numbers;
}

void write_weights(const fs::path& path, const std::vector<ExpectedTensor>& tensors,
                   const RandomWeightsOptions& options) {
  std::vector<TensorToWrite> all;
  all.reserve(tensors.size());
  for (const ExpectedTensor& tensor : tensors) all.push_back({tensor, WeightFormat::bf16});
  SafetensorsWriter file(path, all, false);
  std::uint32_t place = 0;
  for (const ExpectedTensor& tensor : tensors) {
    constexpr Index kAtOnce = Index{1} << 24;
    const Index count = options.sparse ? 0 : count_of(tensor);
    for (Index begin = 0; begin < count && file.works(); begin += kAtOnce) {
      const auto numbers = random_numbers(options.seed, place, spread_of(tensor), begin,
                                          std::min(count, begin + kAtOnce));
      file.write(std::as_bytes(std::span(numbers)));
    }
    ++place;
  }
  if (options.sparse) file.leave_hole();
  file.finish();
}

}  // namespace

void write_random_checkpoint(const std::string& config, const std::vector<ExpectedTensor>& tensors,
                             const fs::path& out, const RandomWeightsOptions& options) {
  NewModel model(out);
  model.write(config, "config.json");
  if (options.tokenizer) {
    model.copy(*options.tokenizer,
               options.tokenizer->extension() == ".json" ? "tokenizer.json" : "tokenizer.model");
  }
  write_weights(model.weights(), tensors, options);
  model.finish();
}

}  // namespace paligemma
