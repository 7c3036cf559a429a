// The yardstick of everything that memory decides: copying the same numbers.
#pragma once

#include <algorithm>

#include "bench/support/roof.h"
#include "tests/support/data.h"

namespace paligemma::bench {

template <class Number, int Rank>
void copy_all(benchmark::State& state, View<const Number, Rank> from) {
  Buffer<Number, 1> to({from.count()});
  for (auto _ : state) {
    std::copy_n(from.data(), from.count(), to.view().data());
    benchmark::ClobberMemory();
  }
  count_bytes(state, 2 * from.count() * static_cast<Index>(sizeof(Number)));
}

// Copies T * D floats, the benchmark's first two arguments.
inline void copy(benchmark::State& state) {
  const auto x = test::random<float, 2>({state.range(0), state.range(1)}, 1);
  copy_all<float, 2>(state, x.view());
}

}  // namespace paligemma::bench
