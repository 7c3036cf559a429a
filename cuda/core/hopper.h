// Hopper's matrix instruction, wgmma: a warpgroup (four warps, the first a multiple of four) multiplies
// two tiles of shared memory in the background. For sm_90a alone; other code may include this and not
// use it. emulation/hopper.h has the same names and arguments.
//
//   wgmma_fence();
//   wgmma_64x88(d, a, b);  ...        d must not be touched
//   wgmma_commit();                   all since the last commit are a group
//   wgmma_wait<0>(d);                 now d is there, and the tiles may be overwritten
#pragma once

#include <cstdint>

#include "cuda/core/ptx.h"

namespace paligemma::cuda {

// A tile has rows of 64 bf16 in the 128-byte swizzle (swizzle.h) and starts at a multiple of 1024 bytes.
// PTX ISA, "Matrix descriptor": the address and the stride from eight rows to the next eight in units of
// 16 bytes; bit 62 stands for that swizzle.
__device__ inline std::uint64_t wgmma_tile(const void* tile) {
  return (shared_address(tile) & 0x3ffff) >> 4 | std::uint64_t{1} << 16 |
         std::uint64_t{1024 >> 4} << 32 | std::uint64_t{1} << 62;
}
// The tile from column `first` on, a multiple of 16.
__device__ inline std::uint64_t wgmma_columns(std::uint64_t tile, int first) {
  return tile + static_cast<unsigned>(first) * 2 / 16;
}

// Makes what this thread wrote to shared memory, by cp.async too, visible to wgmma. A barrier must follow.
__device__ inline void fence_proxy_async() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
// Before each group: what this thread did with the registers of d comes before what wgmma does.
__device__ inline void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Waits until at most `Left` groups are under way. The compiler is told that d has changed.
template <int Left, int n>
__device__ void wgmma_wait(float (&d)[n]) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Left) : "memory");
  for (float& number : d) asm volatile("" : "+f"(number)::"memory");
}

// d (64x88, float) += a (64x16, bf16) b^T (88x16, bf16). With w the warp in the warpgroup, g = lane / 4
// and t = lane % 4 * 2:
//   d[4j], d[4j+1]: row 16w+g, columns 8j+t, 8j+t+1;  d[4j+2], d[4j+3]: row 16w+g+8
__device__ inline void wgmma_64x88(float (&d)[44], std::uint64_t a, std::uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n88k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "
      "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, "
      "%38, %39, %40, %41, %42, %43}, %44, %45, 1, 1, 1, 0, 0;"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),
        "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]),
        "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]),
        "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]),
        "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]),
        "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]), "+f"(d[41]),
        "+f"(d[42]), "+f"(d[43])
      : "l"(a), "l"(b));
}

}  // namespace paligemma::cuda
