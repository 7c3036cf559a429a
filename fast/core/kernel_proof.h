// One thing that kernels are asked when they are proven (fast/core/kernel_check.h), and the numbers that they are asked
// about.
#pragma once

#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "fast/core/kernels.h"
#include "tensor/quantized_linear.h"

namespace paligemma::proofs {

using Numbers = std::vector<float>;

struct KernelProof {
  std::string name;
  std::function<Numbers(const Fast&)> run;
  float tolerance;  // of the largest number that the portable kernels give
};

// Whole numbers from -127 to 127, by chance, the same at every run.
class Steps {
 public:
  explicit Steps(std::uint32_t seed) : state_(seed) {}
  int next() {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<int>((state_ >> 16) % 255) - 127;
  }

 private:
  std::uint32_t state_;
};

// Numbers in [-1, 1] that need all digits of a float.
inline Numbers uniform(Index count, std::uint32_t seed) {
  Steps steps(seed);
  Numbers numbers(static_cast<std::size_t>(count));
  for (float& x : numbers) x = static_cast<float>(steps.next() * 255 + steps.next()) / 32512.0f;
  return numbers;
}

// x, weights and bias are whole steps of 2^-7, and the largest x of a block of 256 is 127 of them. So neither
// bf16 nor 8 bits with a scale round them; products are multiples of 2^-14, and floats sum those exactly up
// to 2^10, which no sum here comes near. Every order gives the same bits.
inline constexpr float kStep = 0x1p-7f;
inline constexpr float kNoRounding = 0;

template <class Number>
Number next_weight(Steps& steps) {
  if constexpr (std::is_same_v<Number, Int8Block>) {
    Int8Block block{.scale = kStep, .q = {}};
    for (auto& q : block.q) q = static_cast<std::int8_t>(steps.next());
    return block;
  } else if constexpr (std::is_same_v<Number, Int4Block>) {
    Int4Block block{.scale = kStep, .factor = {}, .pair = {}};
    for (auto& factor : block.factor) factor = static_cast<std::int8_t>(steps.next() % 16);
    for (auto& pair : block.pair) pair = static_cast<std::uint8_t>(steps.next() + 128);
    return block;
  } else {
    return narrow<Number>(static_cast<float>(steps.next()) * kStep);
  }
}

template <class Number>
std::vector<Number> weights(Index count, std::uint32_t seed) {
  Steps steps(seed);
  std::vector<Number> numbers(static_cast<std::size_t>(count));
  for (Number& number : numbers) number = next_weight<Number>(steps);
  return numbers;
}

// Of what only learning uses.
std::vector<KernelProof> learning_checks();

}  // namespace paligemma::proofs
