// The yardstick of everything that memory decides: copying the same numbers.
#pragma once

#include <algorithm>

#include "bench/support/roof.h"
#include "tests/support/data.h"

namespace paligemma::bench {

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
