// cuda/core/ptx.h, emulated: the same names and arguments.
#pragma once

#include <cmath>

#include "cuda/core/pack.h"
#include "cuda/emulation/tensor_core.h"
#include "tensor/numbers.h"

namespace paligemma::cuda {

template <class T>
T* dynamic_shared() {
  return static_cast<T*>(emulation::dynamic_shared_memory(sizeof(T), alignof(T)));
}

inline void grid_sync(unsigned*, PG_SITE) { emulation::grid_barrier(where); }
inline void bar_sync(int id, unsigned threads, PG_SITE) {
  emulation::block_barrier(id, threads, "bar.sync", where);
}

template <class T>
Pack<T> load_once(const Pack<T>* p) {
  return *p;
}

inline void prefetch_l2(const void*) {}

inline void cp_async_16(void* to, const void* from, bool valid = true, PG_SITE) {
  emulation::copy_async(to, from, 16, valid ? 16 : 0, where);
}
inline void cp_async_commit() { emulation::copy_commit(); }
template <int Left>
void cp_async_wait() {
  emulation::copy_wait(Left);
}

inline void ldmatrix_x4(unsigned (&r)[4], const void* row, PG_SITE) {
  emulation::ldmatrix(r, 4, false, row, where);
}
inline void ldmatrix_x4_trans(unsigned (&r)[4], const void* row, PG_SITE) {
  emulation::ldmatrix(r, 4, true, row, where);
}
inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], PG_SITE) {
  emulation::mma_bf16(d, a, b, where);
}

inline unsigned pack_bf16(float lower, float upper) {
  const auto bits = [](float x) -> unsigned {
    return std::isnan(x) ? 0x7fff : narrow<bf16>(x).bits;  // the GPU knows one NaN only
  };
  return bits(lower) | bits(upper) << 16;
}

}  // namespace paligemma::cuda
