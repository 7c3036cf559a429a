// Time and traffic on a GPU. Beside cuda_yardstick.cu the only part of the benchmarks that knows CUDA.
#pragma once

#include <memory>
#include <string>

#include "cuda/core/device.h"
#include "tensor/view.h"

namespace paligemma::bench {

// Time between two points of a stream, by the GPU's own clock.
class GpuTimer {
 public:
  GpuTimer();
  ~GpuTimer();

  void start(const cuda::Stream&);
  double stop(const cuda::Stream&);  // seconds; waits for what was queued

 private:
  struct Events;
  std::unique_ptr<Events> events_;
};

struct Gpu {
  std::string name;
  int driver,
      runtime;  // the CUDA that the driver knows, and the one that this was built with: 13000
  int processors;
  Index l2_bytes, memory_bytes;
};
Gpu this_gpu();

}  // namespace paligemma::bench
