// A whole PaliGemma 3B of random bf16 weights: the picture, the prefix, and tokens behind it. What users
// wait for, as they wait for it: kernels are queued by the host, and each token is heard of by it.
#include <algorithm>
#include <chrono>
#include <list>
#include <nlohmann/json.hpp>

#include "bench/support/cuda_bench.h"
#include "cuda/paligemma/model.h"
#include "paligemma/presets.h"

namespace paligemma {
namespace {

using cuda::DeviceWeights;
using cuda::Stream;
using Clock = std::chrono::steady_clock;

constexpr Index kPrefix = 264, kTokens = 32;

// A source for load_weights: random numbers under every name.
struct RandomWeights {
  const Stream& stream;
  std::list<cuda::DeviceBuffer<bf16, 1>>& memory;

  DeviceView<const bf16, 2> matrix(const std::string&, const std::vector<Index>& shape) const {
    Index columns = 1;
    for (std::size_t axis = 1; axis < shape.size(); ++axis) columns *= shape[axis];
    return {vector("", shape[0] * columns).data(), {shape[0], columns}};
  }
  DeviceView<const bf16, 1> vector(const std::string&, Index length) const {
    const auto seed = static_cast<unsigned>(memory.size());
    return std::as_const(memory.emplace_back(bench::random<bf16, 1>(stream, {length}, seed)))
        .view();
  }
};

struct Whole {
  Config config = parse_config(preset_json("paligemma-3b-224"), "the preset paligemma-3b-224");
  std::list<cuda::DeviceBuffer<bf16, 1>> memory;
  Model<Stream, DeviceWeights<bf16>> model = make();
  cuda::DeviceBuffer<float, 3> pixels =
      bench::random<float, 3>(model.on, {config.vision.image_size, config.vision.image_size, 3}, 1);

  Index weight_bytes(bool of_text) const {
    Index bytes = 0;
    for (const ExpectedTensor& tensor : expected_tensors(config)) {
      Index count = sizeof(bf16);
      for (Index size : tensor.shape) count *= size;
      if (tensor.name.starts_with("language_model.") == of_text) bytes += count;
    }
    return bytes;
  }

 private:
  Model<Stream, DeviceWeights<bf16>> make() {
    Stream stream;
    RandomWeights source{stream, memory};
    auto weights = load_weights<DeviceWeights<bf16>>(config, source);
    return {std::move(stream), config.vision, config.text, config.image_token, std::move(weights)};
  }
};

Whole& whole() {
  static Whole one;
  return one;
}

// Seconds of `run`, by the GPU's clock, after one that nobody times.
template <class F>
double seconds_of(const Stream& stream, F run) {
  constexpr int kTimes = 10;
  bench::GpuTimer timer;
  run();
  timer.start(stream);
  for (int i = 0; i < kTimes; ++i) run();
  return timer.stop(stream) / kTimes;
}

void run_encode(benchmark::State& state) {
  const auto& model = whole().model;
  const Index bytes = whole().weight_bytes(false);
  const double rows = static_cast<double>(model.vision.patches());
  siglip::EncoderScratch<Stream> scratch(model.vision);
  const double seconds =
      seconds_of(model.on, [&] { encode_image(model, whole().pixels.view(), scratch, NoTap()); });
  const double attention =
      4 * rows * rows * static_cast<double>(model.vision.width * model.vision.layers);
  bench::measure_known(
      state, model.on,
      {.weight_bytes = bytes, .flop = static_cast<double>(bytes) * rows + attention}, seconds);
}

// The picture's place, and words behind it.
std::vector<TokenId> prompt() {
  std::vector<TokenId> ids(kPrefix, 2);
  std::fill_n(ids.begin(), whole().model.vision.patches(), whole().model.image_token);
  return ids;
}

void run_prefill(benchmark::State& state) {
  const auto& model = whole().model;
  const gemma::DecoderShape& text = model.text;
  const Index head_bytes = text.vocabulary * text.width * Index{sizeof(bf16)};
  const Index bytes = whole().weight_bytes(true);
  siglip::EncoderScratch<Stream> scratch(model.vision);
  const auto rows = encode_image(model, whole().pixels.view(), scratch, NoTap());
  const std::vector<TokenId> ids = prompt();
  Session<Stream> session(text, kPrefix, kPrefix + kTokens);
  const double seconds = seconds_of(model.on, [&] {
    session.cache.truncate(session.sequence, 0);
    forward(model, ids, rows.view(), kPrefix, session, NoTap());
  });
  const double attention =
      4.0 * kPrefix * kPrefix * static_cast<double>(text.heads * text.head_size * text.layers);
  bench::measure_known(state, model.on,
                       {.weight_bytes = bytes,
                        .flop = static_cast<double>(bytes - head_bytes) * kPrefix +
                                static_cast<double>(head_bytes) + attention},
                       seconds);
}

// By the host's clock: it waits for each token.
void run_decode(benchmark::State& state) {
  const auto& model = whole().model;
  Session<Stream> session(model.text, kPrefix, kPrefix + kTokens + 2);
  const std::vector<TokenId> ids = prompt();
  siglip::EncoderScratch<Stream> scratch(model.vision);
  const auto rows = encode_image(model, whole().pixels.view(), scratch, NoTap());
  forward(model, ids, rows.view(), kPrefix, session, NoTap());
  Index step = 0;
  Choice next = choose(model, session, {}, step);
  const auto token = [&] { next = decode(model, next.id, kPrefix, session, {}, ++step); };
  token();  // makes room for scratch
  token();  // records the graph
  const auto start = Clock::now();
  for (Index i = 0; i < kTokens; ++i) token();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count() / kTokens;
  bench::measure_known(state, model.on, {.weight_bytes = whole().weight_bytes(true)}, seconds);
}

}  // namespace

void bench::list_benchmarks() {
  add("paligemma-3b-224/encode/bf16", run_encode);
  add("paligemma-3b-224/prefill/bf16/T:264", run_prefill);
  add("paligemma-3b-224/decode/bf16/depth:264", run_decode);
}

}  // namespace paligemma
