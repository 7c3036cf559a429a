// cuda::Stream: an executor (tensor/execution.h). Handed to an operation in the place of `reference`,
// it queues the operation's kernels, which run in the order in which they were queued. Views are
// device views; results are there for the host after wait().
//
//   const cuda::Stream stream;
//   rms_norm(stream, x, scale, eps, y);
//   stream.wait();
//
// Neither this nor any other header outside of kernels includes CUDA: what calls an operation is
// compiled once, and linked with either the GPU's kernels or the emulated ones.
#pragma once

#include <utility>

struct CUstream_st;  // CUDA's

namespace paligemma::cuda {

using StreamHandle = CUstream_st*;  // cudaStream_t

class Stream {
 public:
  Stream();
  ~Stream();
  Stream(Stream&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }

  StreamHandle handle() const { return handle_; }
  void wait() const;

 private:
  StreamHandle handle_ = nullptr;
};

}  // namespace paligemma::cuda
