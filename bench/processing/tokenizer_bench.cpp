// Tokenizer: a prompt, and an answer of four boxes, beside copying the same text.
#include <benchmark/benchmark.h>

#include "processing/tokenizer.h"
#include "tests/support/source_dir.h"

namespace paligemma {
namespace {

const std::string kModel = test::source_dir() + "/tests/golden/paligemma1/tokenizer.model";
const std::string kPrompt = "answer en what color is the circle below the red star?";

std::string boxes() {
  std::string text;
  for (int i = 0; i < 4; ++i) text += "<loc0051><loc0309><loc0708><loc0646> red circle ; ";
  return text;
}

Tokenizer golden() { return Tokenizer(kModel, 1790, 1856); }

void count(benchmark::State& state, const std::string& text) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void copy(benchmark::State& state, const std::string& text) {
  for (auto _ : state) {
    std::string to = text;
    benchmark::DoNotOptimize(to);
  }
  count(state, text);
}

void encode(benchmark::State& state, const std::string& text) {
  const Tokenizer tokenizer = golden();
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.encode(text));
  count(state, text);
}

void decode(benchmark::State& state, const std::string& text) {
  const Tokenizer tokenizer = golden();
  const auto ids = tokenizer.encode(text);
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.decode(ids));
  count(state, text);
}

void load(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(golden());
}

BENCHMARK_CAPTURE(copy, prompt, kPrompt)->Name("tokenizer/copy/prompt");
BENCHMARK_CAPTURE(encode, prompt, kPrompt)->Name("tokenizer/encode/prompt");
BENCHMARK_CAPTURE(decode, prompt, kPrompt)->Name("tokenizer/decode/prompt");
BENCHMARK_CAPTURE(copy, boxes, boxes())->Name("tokenizer/copy/boxes");
BENCHMARK_CAPTURE(encode, boxes, boxes())->Name("tokenizer/encode/boxes");
BENCHMARK_CAPTURE(decode, boxes, boxes())->Name("tokenizer/decode/boxes");
BENCHMARK(load)->Name("tokenizer/load")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace paligemma
