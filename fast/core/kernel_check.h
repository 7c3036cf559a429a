// Whether kernels compute on this processor what the portable ones do: products with every type of weights,
// of few rows and of many, with bias, gate and GELU; attention of few queries and of many, with masks, a cap
// and biases; sums and maxima of logits; scores of pages. Sizes are small, and no multiple of a register's.
#pragma once

#include <functional>
#include <string>

#include "fast/core/kernels.h"

namespace paligemma {

using CheckListener = std::function<void(const std::string& check)>;

// The first check that they fail; nothing if they pass all. `before` hears of each before it begins.
std::string failed_check(const Kernels& kernels, const CheckListener& before = {});

// The same in a child process: an instruction that is not there after all, or a loop without an end, ends
// that one, and is a failure of the check that it happens in.
std::string failed_check_apart(const Kernels& kernels);

}  // namespace paligemma
