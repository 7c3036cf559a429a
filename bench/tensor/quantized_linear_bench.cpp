// Products with quantised weights on the CPU, at the sizes of bench/support/products.h.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "bench/support/copy.h"
#include "bench/support/products.h"
#include "fast/tensor/quantized_linear.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <class Block>
Buffer<Block, 2> random_blocks(Index O, Index I) {
  Buffer<Block, 2> blocks({O, blocks_of(I)});
  const auto numbers = test::random<float, 1>({kBlock}, 2);
  const Block one = quantize<Block>(numbers.view().data(), kBlock);
  std::fill_n(blocks.view().data(), blocks.view().count(), one);
  return blocks;
}

template <class On, class Block>
void quantized_linear_by(benchmark::State& state) {
  const Index T = state.range(0), I = state.range(1), O = state.range(2);
  const auto x = test::random<float, 2>({T, I}, 1);
  const auto weight = random_blocks<Block>(O, I);
  Buffer<float, 2> y({T, O});
  const On on;
  for (auto _ : state) {
    linear(on, x.view(), Linear{weight.view()}, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, T * (I + O) * 4 + O * blocks_of(I) * static_cast<Index>(sizeof(Block)));
  bench::count_flops(state, 2.0 * static_cast<double>(T) * static_cast<double>(I * O),
                     &Limits::int8);
}

// The yardstick of decoding: the blocks, copied.
template <class Block>
void copy_of_the_weights(benchmark::State& state) {
  const auto weight = random_blocks<Block>(state.range(2), state.range(1));
  bench::copy_all<Block, 2>(state, weight.view());
}

BENCHMARK(copy_of_the_weights<Int8Block>)->Name("quantized_linear/copy/int8")->Apply(bench::decode);
BENCHMARK(copy_of_the_weights<Int4Block>)->Name("quantized_linear/copy/int4")->Apply(bench::decode);
BENCHMARK(quantized_linear_by<Reference, Int8Block>)
    ->Name("quantized_linear/reference/int8")
    ->Apply(bench::small_shapes);
BENCHMARK(quantized_linear_by<Reference, Int4Block>)
    ->Name("quantized_linear/reference/int4")
    ->Apply(bench::small_shapes);
BENCHMARK(quantized_linear_by<Fast, Int8Block>)
    ->Name("quantized_linear/fast/int8")
    ->Apply(bench::shapes);
BENCHMARK(quantized_linear_by<Fast, Int4Block>)
    ->Name("quantized_linear/fast/int4")
    ->Apply(bench::shapes);

}  // namespace
}  // namespace paligemma
