#include "bench/support/cuda_timer.h"

#include "cuda/core/check.h"

namespace paligemma::bench {

using cuda::check;

struct GpuTimer::Events {
  cudaEvent_t begin = nullptr, end = nullptr;
};

GpuTimer::GpuTimer() : events_(std::make_unique<Events>()) {
  check(cudaEventCreate(&events_->begin), "cudaEventCreate");
  check(cudaEventCreate(&events_->end), "cudaEventCreate");
}

GpuTimer::~GpuTimer() {
  cudaEventDestroy(events_->begin);
  cudaEventDestroy(events_->end);
}

void GpuTimer::start(const cuda::Stream& stream) {
  check(cudaEventRecord(events_->begin, stream.handle()), "cudaEventRecord");
}

double GpuTimer::stop(const cuda::Stream& stream) {
  check(cudaEventRecord(events_->end, stream.handle()), "cudaEventRecord");
  check(cudaEventSynchronize(events_->end), "cudaEventSynchronize");
  float milliseconds = 0.0f;
  check(cudaEventElapsedTime(&milliseconds, events_->begin, events_->end), "cudaEventElapsedTime");
  return 1e-3 * milliseconds;
}

Gpu this_gpu() {
  int device = 0;
  cudaDeviceProp properties{};
  Gpu gpu{};
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  check(cudaDriverGetVersion(&gpu.driver), "cudaDriverGetVersion");
  check(cudaRuntimeGetVersion(&gpu.runtime), "cudaRuntimeGetVersion");
  gpu.name = properties.name;
  gpu.processors = properties.multiProcessorCount;
  gpu.l2_bytes = properties.l2CacheSize;
  gpu.memory_bytes = static_cast<Index>(properties.totalGlobalMem);
  return gpu;
}

}  // namespace paligemma::bench
