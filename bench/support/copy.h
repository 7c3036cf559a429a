// The yardstick of everything that memory decides: copying the same numbers.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>

#include "tests/support/data.h"

namespace paligemma::bench {

inline void count_bytes(benchmark::State& state, Index bytes_per_iteration) {
  state.SetBytesProcessed(state.iterations() * bytes_per_iteration);
}

// Floating-point operations, shown per second.
inline void count_flops(benchmark::State& state, double flops_per_iteration) {
  state.counters["flop/s"] =
      benchmark::Counter(flops_per_iteration, benchmark::Counter::kIsIterationInvariantRate);
}

// Copies T * D floats, the benchmark's first two arguments.
inline void copy(benchmark::State& state) {
  const Index count = state.range(0) * state.range(1);
  const auto x = test::random<float, 1>({count}, 1);
  Buffer<float, 1> y({count});
  for (auto _ : state) {
    std::copy_n(x.view().data(), count, y.view().data());
    benchmark::ClobberMemory();
  }
  count_bytes(state, 2 * count * 4);
}

}  // namespace paligemma::bench
