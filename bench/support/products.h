// The sizes at which products are measured, x [T, I] and W [O, I]. One token is decoding, where every weight is
// read for two operations; more are a 224-pixel picture (256, in SigLIP-So400m) and its prefix with a short
// prompt (264), where every weight is read once for all. A matrix of Gemma 2B's MLP does not fit in the caches,
// as in a model, where others lie between.
#pragma once

#include <benchmark/benchmark.h>

namespace paligemma::bench {

inline benchmark::internal::Benchmark* products(benchmark::internal::Benchmark* b) {
  return b->ArgNames({"T", "I", "O"})->Unit(benchmark::kMicrosecond)->UseRealTime();
}

inline void decode(benchmark::internal::Benchmark* b) { products(b)->Args({1, 2048, 16384}); }

inline void shapes(benchmark::internal::Benchmark* b) {
  b->Apply(decode);
  for (const int T : {2, 4, 8, 16}) b->Args({T, 2048, 16384});  // answers side by side
  b->Args({1, 16384, 2048})->Args({264, 2048, 16384})->Args({256, 1152, 4304});
}

// Of a step that learns.
inline void learned(benchmark::internal::Benchmark* b) {
  products(b)->Args({264, 2048, 16384})->Args({264, 16384, 2048})->Args({256, 1152, 4304});
}

// Of what takes its time.
inline void small_shapes(benchmark::internal::Benchmark* b) {
  products(b)->Args({1, 2048, 2048})->Args({264, 2048, 2048});
}

}  // namespace paligemma::bench
