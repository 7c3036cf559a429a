// Normalising pixels on the CPU, at the three sizes that checkpoints are trained for.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "bench/support/copy.h"
#include "processing/normalize_pixels.h"

namespace paligemma {
namespace {

void normalize_pixels_reference(benchmark::State& state) {
  const Index R = state.range(0);
  Buffer<std::uint8_t, 3> x({R, R, 3});
  for (Index i = 0; i < x.view().count(); ++i) {
    x.view().data()[i] = static_cast<std::uint8_t>(37 * i);
  }
  Buffer<float, 3> y({R, R, 3});
  for (auto _ : state) {
    normalize_pixels(x.view(), PixelScale{}, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, R * R * 3 * 5);
}

// The yardstick: as many bytes are read and as many floats written, with no arithmetic but the
// conversion.
void normalize_pixels_copy(benchmark::State& state) {
  const Index R = state.range(0);
  Buffer<std::uint8_t, 3> x({R, R, 3});
  Buffer<float, 3> y({R, R, 3});
  for (auto _ : state) {
    std::copy_n(x.view().data(), x.view().count(), y.view().data());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, R * R * 3 * 5);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgName("R")->Arg(224)->Arg(448)->Arg(896)->Unit(benchmark::kMicrosecond);
}

BENCHMARK(normalize_pixels_copy)->Name("normalize_pixels/copy/u8_to_f32")->Apply(shapes);
BENCHMARK(normalize_pixels_reference)->Name("normalize_pixels/reference/u8_to_f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
