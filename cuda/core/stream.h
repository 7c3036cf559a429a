// cuda::Stream: an executor (tensor/execution.h). Handed to an operation in the place of `reference`,
// it queues the operation's kernels, which run in the order in which they were queued. Views are
// device views; results are there for the host after wait().
//
//   const cuda::Stream stream;
//   rms_norm(stream, x, scale, rule, y);
//   stream.wait();
//
// Neither this nor any other header outside of kernels includes CUDA: what calls an operation is
// compiled once, and linked with either the GPU's kernels or the emulated ones.
#pragma once

#include <cstddef>
#include <utility>

#include "cuda/core/arena.h"

struct CUstream_st;  // CUDA's

namespace paligemma::cuda {

using StreamHandle = CUstream_st*;  // cudaStream_t

// What may be rounded on its way into a product of matrices.
enum class Math {
  bf16,     // activations that meet bf16 weights, or one another in attention: tensor cores
  float32,  // nothing, as in the reference
};

class Stream {
 public:
  explicit Stream(Math math = Math::bf16);
  ~Stream();
  Stream(Stream&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)),
        math_(other.math_),
        arena_(std::move(other.arena_)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(math_, other.math_);
    std::swap(arena_, other.arena_);
    return *this;
  }

  StreamHandle handle() const { return handle_; }
  Math math() const { return math_; }
  void use(Math math) { math_ = math; }
  void wait() const;

 private:
  template <class T, int Rank>
  friend class Scratch;

  StreamHandle handle_ = nullptr;
  Math math_;
  mutable Arena arena_;
};

inline void wait_for(const Stream& stream) { stream.wait(); }

}  // namespace paligemma::cuda
