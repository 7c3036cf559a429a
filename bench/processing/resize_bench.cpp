// Resize on the CPU: a small picture, a screen and a photograph, each to 224 x 224.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "bench/support/copy.h"
#include "processing/resize.h"

namespace paligemma {
namespace {

using Picture = Buffer<std::uint8_t, 3>;

Picture pattern(Index H, Index W) {
  Picture x({H, W, 3});
  for (Index i = 0; i < x.view().count(); ++i) {
    x.view().data()[i] = static_cast<std::uint8_t>(37 * i);
  }
  return x;
}

template <ResampleFilter filter>
void resize_reference(benchmark::State& state) {
  const auto x = pattern(state.range(0), state.range(1));
  Picture y({224, 224, 3});
  for (auto _ : state) {
    resize(x.view(), filter, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, x.view().count() + y.view().count());
}

// The yardstick: the picture is read, and as many bytes are written as the result has.
void resize_copy(benchmark::State& state) {
  const auto x = pattern(state.range(0), state.range(1));
  Picture y({224, 224, 3});
  const Index count = x.view().count(), block = y.view().count();
  for (auto _ : state) {
    for (Index i = 0; i < count; i += block) {
      std::copy_n(x.view().data() + i, std::min(block, count - i), y.view().data());
      benchmark::ClobberMemory();
    }
  }
  bench::count_bytes(state, count + block);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"H", "W"})->Args({240, 320})->Args({1080, 1920})->Args({3000, 4000});
  b->Unit(benchmark::kMicrosecond);
}

BENCHMARK(resize_copy)->Name("resize/copy/u8")->Apply(shapes);
BENCHMARK(resize_reference<ResampleFilter::bilinear>)
    ->Name("resize/reference_bilinear/u8")
    ->Apply(shapes);
BENCHMARK(resize_reference<ResampleFilter::bicubic>)
    ->Name("resize/reference_bicubic/u8")
    ->Apply(shapes);

}  // namespace
}  // namespace paligemma
