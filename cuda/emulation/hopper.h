// cuda/core/hopper.h, emulated: the same names and arguments.
#pragma once

#include <cstdint>

#include "cuda/emulation/tensor_core.h"

namespace paligemma::cuda {

inline std::uint64_t wgmma_tile(const void* tile, PG_SITE) {
  return emulation::wgmma_tile(tile, where);
}
inline std::uint64_t wgmma_columns(std::uint64_t tile, int first) {
  return tile + static_cast<unsigned>(first) * 2 / 16;
}

inline void fence_proxy_async() { emulation::fence_proxy_async(); }
inline void wgmma_fence() { emulation::wgmma_fence(); }
inline void wgmma_commit() { emulation::wgmma_commit(); }
template <int Left, int n>
void wgmma_wait(float (&)[n]) {
  emulation::wgmma_wait(Left);
}

inline void wgmma_64x88(float (&d)[44], std::uint64_t a, std::uint64_t b, PG_SITE) {
  emulation::wgmma_bf16(d, 88, a, b, where);
}

}  // namespace paligemma::cuda
