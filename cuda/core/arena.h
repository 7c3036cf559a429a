// Arena: a stack of device memory for the intermediates of an operation. A stream has one; operations use
// it through Scratch.
//
// An operation gives back what it took, last first, and the next operation on the stream takes the same
// memory again: its kernels run after this one's. Once the stack has reached its greatest height nothing
// is allocated any more, so a token costs no allocation.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace paligemma::cuda {

class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(Arena&& other) noexcept
      : chunks_(std::exchange(other.chunks_, {})), taken_(std::exchange(other.taken_, {})) {}
  Arena& operator=(Arena&& other) noexcept {
    std::swap(chunks_, other.chunks_);
    std::swap(taken_, other.taken_);
    return *this;
  }

  void* take(std::size_t bytes);  // at a multiple of 256; throws CudaError
  void give_back();               // what was taken last

 private:
  struct Chunk {
    void* memory;
    std::size_t bytes, used;
  };
  struct Piece {
    std::size_t chunk, bytes;
  };
  std::vector<Chunk> chunks_;  // never freed before the end: queued kernels may still use them
  std::vector<Piece> taken_;
};

}  // namespace paligemma::cuda
