// The limits of this machine, measured: the peak and the bandwidth that times are compared with.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "fast/core/fast.h"

namespace paligemma {

struct Limits {
  double f32, bf16,
      int8;     // operations per second, of all threads, by the instruction that products use
  double read;  // bytes per second, of all threads, from memory
};

// Measures what all threads together reach, for some 0.1 s. Other work on the machine lowers it, so probe
// right before and after what is compared with it. Reads a gibibyte or two from all over `memory`, which
// should be the weights themselves: on some machines places in memory differ by a factor of two.
Limits probe(const Fast& on, const std::vector<std::span<const std::byte>>& memory);

}  // namespace paligemma
