#include "bench/support/cuda_bench.h"

#include <cstdio>
#include <limits>
#include <map>
#include <tuple>

#include "cuda/core/graph.h"

namespace paligemma::bench {
namespace {

constexpr double kGraphSeconds = 1e-3;  // as long as one launch of a graph should last
constexpr Index kMostLaunches = 256;

const Gpu& gpu() {
  static const Gpu found = this_gpu();
  return found;
}

// Many launches as one.
struct Launches {
  Index count;
  cuda::Graph graph;
};

Launches record(const cuda::Stream& stream, Index copies, const Run& run) {
  GpuTimer timer;
  run(0);  // the stream's memory becomes as large as it must be
  stream.wait();
  timer.start(stream);
  run(1);
  const double seconds = std::max(timer.stop(stream), 1e-7);
  const Index enough =
      std::clamp(static_cast<Index>(kGraphSeconds / seconds), Index{1}, kMostLaunches);
  const Index count = (enough + copies - 1) / copies * copies;  // each copy is used as often
  return {count, cuda::Graph(stream, [&] {
            for (Index i = 0; i < count; ++i) run(i);
          })};
}

// A GPU that had nothing to do runs slowly for its first tenths of a second.
void warm_up() {
  const cuda::Stream stream;
  const auto in = random<float, 1>(stream, {Index{1} << 26}, 1);
  cuda::DeviceBuffer<unsigned char, 1> out({1 << 20});
  const Bytes bytes{reinterpret_cast<const unsigned char*>(in.view().data()), {Index{1} << 28}};
  for (int hundredths = 0; hundredths < 30; ++hundredths) {
    seconds_of(stream, 1,
               [&](Index) { move_bytes(stream, 4, gpu().processors, {}, bytes, out.view()); });
  }
}

void report(benchmark::State& state, const Work& work, double seconds) {
  state.SetBytesProcessed(state.iterations() *
                          (work.weight_bytes + work.read_bytes + work.write_bytes));
  if (work.flop > 0) {
    state.counters["flop/s"] =
        benchmark::Counter(work.flop, benchmark::Counter::kIsIterationInvariantRate);
  }
  state.counters["yardstick"] = 1e6 * work.yardstick;
  state.counters["share"] = work.yardstick / seconds;
  state.SetLabel(work.yardstick_name);
}

Index whole_packs(Index bytes) { return (bytes + 15) / 16 * 16; }

}  // namespace

Index copies_for(Index bytes) {
  constexpr Index kMost = 256;
  const Index twice = 2 * gpu().l2_bytes;
  return std::clamp((twice + bytes - 1) / std::max(bytes, Index{1}), Index{1}, kMost);
}

double seconds_of(const cuda::Stream& stream, Index copies, const Run& run) {
  constexpr double kSeconds = 0.01;
  GpuTimer timer;
  const Launches launches = record(stream, copies, run);
  timer.start(stream);
  launches.graph.launch(stream);
  const double once = std::max(timer.stop(stream), 1e-7);
  const Index times = std::clamp(static_cast<Index>(kSeconds / once), Index{1}, Index{1000});
  timer.start(stream);
  for (Index i = 0; i < times; ++i) launches.graph.launch(stream);
  return timer.stop(stream) / static_cast<double>(times * launches.count);
}

double memory_yardstick(const cuda::Stream& stream, const Work& work) {
  static std::map<std::tuple<Index, Index, Index, Index>, double> known;
  const Index weight_bytes = whole_packs(work.weight_bytes);
  double& seconds = known[{weight_bytes, work.copies, work.read_bytes, work.write_bytes}];
  if (seconds > 0) return seconds;

  const auto some = [&](Index bytes, unsigned seed) {
    return random<float, 1>(stream, {bytes / Index{sizeof(float)}}, seed);
  };
  const auto bytes_of = [](const auto& buffer) {
    return reinterpret_cast<const unsigned char*>(buffer.view().data());
  };
  const auto weights = some(work.copies * weight_bytes, 1),
             in = some(whole_packs(work.read_bytes), 2);
  cuda::DeviceBuffer<unsigned char, 1> out({whole_packs(work.write_bytes)});
  seconds = std::numeric_limits<double>::infinity();
  for (int loads : kYardstickLoads) {
    const double found = seconds_of(stream, work.copies, [&](Index i) {
      const Bytes weight{bytes_of(weights) + i % work.copies * weight_bytes, {weight_bytes}};
      move_bytes(stream, loads, gpu().processors, weight,
                 {bytes_of(in), {whole_packs(work.read_bytes)}}, out.view());
    });
    seconds = std::min(seconds, found);
  }
  return seconds;
}

void measure(benchmark::State& state, const cuda::Stream& stream, Work work, const Run& run) {
  if (work.yardstick == 0) work.yardstick = memory_yardstick(stream, work);
  GpuTimer timer;
  const Launches launches = record(stream, work.copies, run);
  launches.graph.launch(stream);
  stream.wait();

  double total = 0;
  for (auto _ : state) {
    timer.start(stream);
    launches.graph.launch(stream);
    const double seconds = timer.stop(stream) / static_cast<double>(launches.count);
    state.SetIterationTime(seconds);
    total += seconds;
  }
  report(state, work, total / static_cast<double>(state.iterations()));
}

void measure_known(benchmark::State& state, const cuda::Stream& stream, Work work, double seconds) {
  if (work.yardstick == 0) work.yardstick = memory_yardstick(stream, work);
  for (auto _ : state) state.SetIterationTime(seconds);
  report(state, work, seconds);
}

}  // namespace paligemma::bench

int main(int argc, char** argv) {
  using namespace paligemma;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  if (const std::string problem = cuda::device_problem(); !problem.empty()) {
    std::printf("nothing is measured: %s\n", problem.c_str());
    return 0;
  }
  const bench::Gpu gpu = bench::this_gpu();
  benchmark::AddCustomContext("gpu", gpu.name);
  benchmark::AddCustomContext("gpu_processors", std::to_string(gpu.processors));
  benchmark::AddCustomContext("gpu_l2_bytes", std::to_string(gpu.l2_bytes));
  benchmark::AddCustomContext("cuda_driver", std::to_string(gpu.driver));
  benchmark::AddCustomContext("cuda_runtime", std::to_string(gpu.runtime));
  bench::warm_up();
  bench::list_benchmarks();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
