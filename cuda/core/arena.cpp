#include "cuda/core/arena.h"

#include "cuda/core/device.h"

namespace paligemma::cuda {

Arena::~Arena() {
  for (const Chunk& chunk : chunks_) release(chunk.memory);
}

void* Arena::take(std::size_t bytes) {
  bytes = (bytes + 255) / 256 * 256;
  std::size_t i = 0;
  while (i < chunks_.size() && chunks_[i].used + bytes > chunks_[i].bytes) ++i;
  if (i == chunks_.size()) chunks_.push_back({allocate(bytes), bytes, 0});
  void* const piece = static_cast<char*>(chunks_[i].memory) + chunks_[i].used;
  chunks_[i].used += bytes;
  taken_.push_back({i, bytes});
  return piece;
}

void Arena::give_back() {
  chunks_[taken_.back().chunk].used -= taken_.back().bytes;
  taken_.pop_back();
}

}  // namespace paligemma::cuda
