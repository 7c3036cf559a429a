// Benchmarks of kernels. A program lists its lines, each a name and a function that calls `measure`:
//
//   void run(benchmark::State& state, RmsNormKernel kernel) {
//     const Stream stream;
//     ...
//     measure(state, stream, {.read_bytes = ..., .write_bytes = ...},
//             [&](Index) { rms_norm(stream, x.view(), scale.view(), rule, y.view(), kernel); });
//   }
//   void list_benchmarks() { add("rms_norm/block_per_row/f32", run, kernel)->Args({1, 2048}); }
//
// Time is the GPU's, per launch, of many launches in one CUDA graph, as in decoding: the host takes
// no part. Activations are warm, since the kernel before wrote them just now. Weights come from device
// memory: Copies has so many of them that none is left in the L2 cache when its turn comes again.
//
// Every line has beside it, measured in the same run, what the same work takes at least: `yardstick`
// (microseconds), and `share`, which is yardstick / time. docs/cuda/benchmarks.md says how to read it.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <string>

#include "bench/support/cuda_timer.h"
#include "bench/support/cuda_yardstick.h"
#include "cuda/core/device_buffer.h"

namespace paligemma::bench {

// Every program's own: calls `add` for each line. It is not called where there is no GPU.
void list_benchmarks();

// Random numbers on the device.
template <class T, int Rank>
cuda::DeviceBuffer<T, Rank> random(const cuda::Stream& stream, std::array<Index, Rank> shape,
                                   unsigned seed) {
  cuda::DeviceBuffer<T, Rank> buffer(shape);
  fill_random(stream, buffer.view().data(), buffer.view().count(), seed);
  return buffer;
}

// How many copies of so many bytes are twice the L2 cache; at most 256.
Index copies_for(Index bytes);

// Weights, several times over.
template <class T, int Rank>
class Copies {
 public:
  Copies(const cuda::Stream& stream, std::array<Index, Rank> shape, unsigned seed)
      : rows_(shape[0]),
        bytes_(DeviceView<T, Rank>(nullptr, shape).count() * Index{sizeof(T)}),
        count_(copies_for(bytes_)),
        all_(random<T, Rank>(stream, times(shape, count_), seed)) {}

  Index count() const { return count_; }
  Index bytes() const { return bytes_; }  // of one copy
  // The copy that the i-th launch takes.
  DeviceView<const T, Rank> at(Index i) const {
    const Index begin = i % count_ * rows_;
    return all_.view().rows(begin, begin + rows_);
  }

 private:
  static std::array<Index, Rank> times(std::array<Index, Rank> shape, Index n) {
    shape[0] *= n;
    return shape;
  }

  Index rows_, bytes_, count_;
  cuda::DeviceBuffer<T, Rank> all_;
};

// What one launch does at least.
struct Work {
  Index weight_bytes = 0;  // read from device memory
  Index copies = 1;        // of the weights: as many launches are in a row
  Index read_bytes = 0;    // activations, read and written in the L2 cache if they fit
  Index write_bytes = 0;
  double flop = 0;
  double yardstick = 0;  // seconds; 0: what moving the bytes takes
  std::string yardstick_name = "memory";
};

// Queues launch i.
using Run = std::function<void(Index i)>;

// Seconds per launch, the mean of about a hundredth of a second.
double seconds_of(const cuda::Stream&, Index copies, const Run&);

// Seconds to move the same bytes.
double memory_yardstick(const cuda::Stream&, const Work&);

void measure(benchmark::State&, const cuda::Stream&, Work, const Run&);

// A line of what was measured before: a yardstick's own.
void measure_known(benchmark::State&, const cuda::Stream&, Work, double seconds);

// A line of the program: run(state, arguments...). What it throws is the line's error. An iteration is
// a graph of many launches, so that few are enough.
template <class F, class... A>
benchmark::internal::Benchmark* add(const std::string& name, F run, A... arguments) {
  return benchmark::RegisterBenchmark(name.c_str(),
                                      [=](benchmark::State& state) {
                                        try {
                                          run(state, arguments...);
                                        } catch (const std::exception& e) {
                                          state.SkipWithError(e.what());
                                        }
                                      })
      ->UseManualTime()
      ->Iterations(20)
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace paligemma::bench
