// CUDA's vector types: float2, float4, int3, uint3, dim3 ... with CUDA's alignment, so that a float4
// must stand at a multiple of 16 bytes here as well (the undefined-behaviour sanitizer looks).
#pragma once

#define PG_VECTOR_TYPES(T, name)                                        \
  struct [[gnu::may_alias]] alignas(2 * sizeof(T)) name##2 {            \
    T x, y;                                                             \
  };                                                                    \
  struct [[gnu::may_alias]] name##3 {                                   \
    T x, y, z;                                                          \
  };                                                                    \
  struct [[gnu::may_alias]] alignas(4 * sizeof(T)) name##4 {            \
    T x, y, z, w;                                                       \
  };                                                                    \
  constexpr name##2 make_##name##2(T x, T y) { return {x, y}; }         \
  constexpr name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; } \
  constexpr name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
PG_VECTOR_TYPES(float, float)
PG_VECTOR_TYPES(int, int)
PG_VECTOR_TYPES(unsigned, uint)
#undef PG_VECTOR_TYPES

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned vx = 1, unsigned vy = 1, unsigned vz = 1) : x(vx), y(vy), z(vz) {}
};
