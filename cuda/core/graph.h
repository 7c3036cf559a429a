// Graph: a recorded sequence of kernels, queued as one. The GPU starts them without the host, whose
// launches would otherwise take most of a decoded token's time.
//
//   const Graph step(stream, [&] { rms_norm(stream, ...); linear(stream, ...); });   runs nothing
//   step.launch(stream);                                                            runs all of it
//
// A graph keeps the arguments of its kernels as they were recorded, so what changes from launch to launch
// must be in device memory. While it is recorded nothing may be allocated, copied from or to the host, or
// waited for. So queue the same calls once before, which makes the stream's arena large enough.
#pragma once

#include <functional>
#include <memory>

#include "cuda/core/stream.h"

namespace paligemma::cuda {

class Graph {
 public:
  Graph(const Stream& stream, const std::function<void()>& queue);  // throws CudaError

  void launch(const Stream& stream) const;

 private:
  struct Recorded;
  std::shared_ptr<const Recorded> recorded_;
};

}  // namespace paligemma::cuda
