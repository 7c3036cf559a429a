// What this machine can do at most, measured: the roofs that times are compared with.
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

// Measures for some 0.1 s what all threads reach. Other work on the machine lowers it, so it belongs right
// beside what it is compared with. `memory` is what is read, a gibibyte or two of it in pieces from all
// over: the weights themselves, since places in memory differ by a factor of two on some machines.
Limits probe(const Fast& on, const std::vector<std::span<const std::byte>>& memory);

}  // namespace paligemma
