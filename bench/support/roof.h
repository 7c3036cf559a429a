// How near a benchmark comes to what the processor can do at most, of all threads, probed once
// (fast/core/probe.h):
//
//   of_reads   bytes, as a share of what memory can be read at; above 1 where caches hold them
//   of_peak    operations, as a share of the instruction's that products are made of
//
// Both are printed as rates: 0.9/s is a share of 0.9.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <vector>

#include "fast/core/probe.h"
#include "tensor/view.h"

namespace paligemma::bench {

inline const Limits& roofs() {
  static const Limits limits = [] {
    const std::vector<std::byte> memory(std::size_t{1} << 28, std::byte{1});
    return probe(Fast(), {memory});
  }();
  return limits;
}

// What an iteration would take at the roof, over what it takes.
inline benchmark::Counter share(double seconds_at_the_roof) {
  return {seconds_at_the_roof, benchmark::Counter::kIsIterationInvariantRate};
}

inline void count_bytes(benchmark::State& state, Index bytes_per_iteration) {
  state.SetBytesProcessed(state.iterations() * bytes_per_iteration);
  state.counters["of_reads"] = share(static_cast<double>(bytes_per_iteration) / roofs().read);
}

inline void count_flops(benchmark::State& state, double flops_per_iteration,
                        double Limits::*peak = &Limits::f32) {
  state.counters["flop/s"] =
      benchmark::Counter(flops_per_iteration, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["of_peak"] = share(flops_per_iteration / (roofs().*peak));
}

}  // namespace paligemma::bench
