// The part of CUDA C++ that our kernels use, for a plain C++20 compiler: a kernel is an ordinary
// function here, and a launch calls it once for each thread.
//
// What it reports, beyond what sanitizers see in a plain program, stands in docs/cuda/emulation.md.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "cuda/emulation/scheduler.h"

#define __global__
#define __device__
#define __host__
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __forceinline__ inline __attribute__((always_inline))
// One block runs at a time, so a shared variable is a static one. Kernels live in an unnamed
// namespace: only then does GCC's AddressSanitizer guard the variables of kernel templates.
#define __shared__ static

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

// ---- threads of a block and of a warp --------------------------------------------------------------

namespace paligemma::emulation {

template <class T>
T shuffle(unsigned mask, T value, unsigned source, const char* operation, const Site& where) {
  struct Slot {
    T in, out;
    unsigned source;
  } slot{value, value, source};
  const auto act = [](void* const slots[32], unsigned lanes) {
    for_lanes(lanes, [&](int i) {
      auto* mine = static_cast<Slot*>(slots[i]);
      if ((lanes >> mine->source & 1) == 0) {
        fail("lane %d shuffles from lane %u, which takes no part", i, mine->source);
      }
      mine->out = static_cast<Slot*>(slots[mine->source])->in;
    });
  };
  warp_meet(mask, operation, &slot, act, where);
  return slot.out;
}

// The lanes that a shuffle of `width` keeps together with the running one.
struct Segment {
  unsigned me, first, end;
  explicit Segment(int width)
      : me(lane()),
        first(me & ~(static_cast<unsigned>(width) - 1)),
        end(first + static_cast<unsigned>(width)) {}
};

}  // namespace paligemma::emulation

inline void __syncthreads(PG_SITE) {
  paligemma::emulation::block_barrier(0, 0, "__syncthreads", where);
}
inline void __syncwarp(unsigned mask = ~0u, PG_SITE) {
  const auto nothing = [](void* const*, unsigned) {};
  paligemma::emulation::warp_meet(mask, "__syncwarp", nullptr, nothing, where);
}
template <class T>
T __shfl_sync(unsigned mask, T v, int lane, int width = 32, PG_SITE) {
  const paligemma::emulation::Segment s(width);
  const unsigned from = s.first + (static_cast<unsigned>(lane) & (s.end - s.first - 1));
  return paligemma::emulation::shuffle(mask, v, from, "__shfl_sync", where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int x, int width = 32, PG_SITE) {
  const paligemma::emulation::Segment s(width);
  const unsigned from = s.me ^ static_cast<unsigned>(x);
  return paligemma::emulation::shuffle(mask, v, from >= s.end ? s.me : from, "__shfl_xor_sync",
                                       where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, PG_SITE) {
  const paligemma::emulation::Segment s(width);
  const unsigned from = s.me + by;
  return paligemma::emulation::shuffle(mask, v, from >= s.end ? s.me : from, "__shfl_down_sync",
                                       where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, PG_SITE) {
  const paligemma::emulation::Segment s(width);
  const unsigned from = s.me < s.first + by ? s.me : s.me - by;
  return paligemma::emulation::shuffle(mask, v, from, "__shfl_up_sync", where);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, PG_SITE) {
  struct Slot {
    int in;
    unsigned out;
  } slot{predicate, 0};
  const auto act = [](void* const slots[32], unsigned lanes) {
    using paligemma::emulation::for_lanes;
    unsigned votes = 0;
    for_lanes(lanes, [&](int i) {
      if (static_cast<Slot*>(slots[i])->in != 0) votes |= 1u << i;
    });
    for_lanes(lanes, [&](int i) { static_cast<Slot*>(slots[i])->out = votes; });
  };
  paligemma::emulation::warp_meet(mask, "__ballot_sync", &slot, act, where);
  return slot.out;
}
inline int __any_sync(unsigned mask, int predicate, PG_SITE) {
  return __ballot_sync(mask, predicate, where) != 0;
}
inline int __all_sync(unsigned mask, int predicate, PG_SITE) {
  return __ballot_sync(mask, predicate == 0, where) == 0;
}

// ---- memory -----------------------------------------------------------------------------------------

inline void __threadfence() {}
inline void __threadfence_block() {}
template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T __ldcs(const T* p) {
  return *p;
}
template <class T>
void __stcs(T* p, T v) {
  *p = v;
}

#define PG_ATOMIC(name, result)                                                             \
  template <class T>                                                                        \
  __attribute__((no_sanitize("thread"))) T name(T* p, std::type_identity_t<T> v, PG_SITE) { \
    paligemma::emulation::note_atomic(p, sizeof(T), where);                                 \
    const T old = *p;                                                                       \
    *p = result;                                                                            \
    return old;                                                                             \
  }
PG_ATOMIC(atomicAdd, old + v)
PG_ATOMIC(atomicMax, old < v ? v : old)
PG_ATOMIC(atomicMin, v < old ? v : old)
PG_ATOMIC(atomicExch, v)
#undef PG_ATOMIC
template <class T>
__attribute__((no_sanitize("thread"))) T atomicCAS(T* p, std::type_identity_t<T> expected,
                                                   std::type_identity_t<T> v, PG_SITE) {
  paligemma::emulation::note_atomic(p, sizeof(T), where);
  const T old = *p;
  if (old == expected) *p = v;
  return old;
}

// ---- arithmetic -------------------------------------------------------------------------------------

using std::max, std::min;
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __int_as_float(int i) { return __builtin_bit_cast(float, i); }
inline int __float_as_int(float f) { return __builtin_bit_cast(int, f); }
inline float __uint_as_float(unsigned i) { return __builtin_bit_cast(float, i); }
inline unsigned __float_as_uint(float f) { return __builtin_bit_cast(unsigned, f); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
