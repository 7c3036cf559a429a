// Several neighbours of a row, moved by one instruction.
//
//   Group<T, n>   n numbers, at a multiple of their own size; at most 16 bytes
//   Pack<T>       16 bytes, the most that one thread moves at once: 4 floats, 8 bf16
#pragma once

#include <cstdint>

#include "tensor/host_device.h"

namespace paligemma::cuda {

template <class T, int n>
struct alignas(n * sizeof(T)) Group {
  static constexpr int kSize = n;
  static_assert(n * sizeof(T) <= 16);
  T at[n];
};

template <class T>
using Pack = Group<T, 16 / sizeof(T)>;

template <int n, class T>
PG_HOST_DEVICE const Group<T, n>* as_groups(const T* p) {
  return reinterpret_cast<const Group<T, n>*>(p);
}
template <class T>
PG_HOST_DEVICE const Pack<T>* as_packs(const T* p) {
  return reinterpret_cast<const Pack<T>*>(p);
}
template <class T>
PG_HOST_DEVICE Pack<T>* as_packs(T* p) {
  return reinterpret_cast<Pack<T>*>(p);
}

template <int n, class T>
bool is_group_aligned(const T* p) {
  return reinterpret_cast<std::uintptr_t>(p) % (n * sizeof(T)) == 0;
}
inline bool is_aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }

}  // namespace paligemma::cuda
