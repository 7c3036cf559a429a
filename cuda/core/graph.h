// Graph: what was queued on a stream once, kept to be queued again as one. The GPU starts its kernels
// without asking the host for each, which is most of what a decoded token waits for otherwise.
//
//   const Graph step(stream, [&] { rms_norm(stream, ...); linear(stream, ...); });   runs nothing
//   step.launch(stream);                                                            runs all of it
//
// Every pointer and number is kept as it was: what changes from launch to launch must stand in device
// memory. Nothing may be allocated, copied from or to the host, or waited for meanwhile, so that the
// same must have been queued once before, for the stream's arena to be as large as it gets.
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
