// Instructions that CUDA C++ has no short name for. emulation/ptx.h has the same names and arguments.
// NVIDIA's "PTX ISA" describes each instruction in full.
#pragma once

#include <cuda_runtime.h>

#include "cuda/core/pack.h"

namespace paligemma::cuda {

// The shared memory that the launch asked for, as a struct that names its layout.
template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(1024) unsigned char dynamic_shared_bytes[];
  return reinterpret_cast<T*>(dynamic_shared_bytes);
}

// A barrier for all blocks of a launch_cooperative; `arrived` must be 0 before the first launch.
// (cooperative_groups.h has one too, but costs seconds of compile time.)
__device__ inline void grid_sync(unsigned* arrived) {
  __syncthreads();  // what the block's threads wrote is there before the one that tells of it
  if (threadIdx.x + threadIdx.y + threadIdx.z == 0) {
    const unsigned blocks = gridDim.x * gridDim.y * gridDim.z;
    __threadfence();
    const unsigned until = (atomicAdd(arrived, 1) / blocks + 1) * blocks;
    for (unsigned now = 0; now < until;) {
      asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(now) : "l"(arrived) : "memory");
    }
  }
  __syncthreads();
}

// `threads` of the block meet at barrier `id`, 1 to 15.
__device__ inline void bar_sync(int id, unsigned threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

__device__ inline unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

// Loads 16 bytes that will not be read again, so they do not evict anything from L1.
template <class T>
__device__ Pack<T> load_once(const Pack<T>* p) {
  uint4 bits;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(bits.x), "=r"(bits.y), "=r"(bits.z), "=r"(bits.w)
               : "l"(p));
  Pack<T> pack;
  memcpy(&pack, &bits, sizeof pack);
  return pack;
}

// Prefetches the 128 bytes of device memory around p into L2.
__device__ inline void prefetch_l2(const void* p) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
}

// Copies 16 bytes from device to shared memory in the background; zeros where `valid` is false.
__device__ inline void cp_async_16(void* to, const void* from, bool valid = true) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(valid ? 16 : 0)
               : "memory");
}
__device__ inline void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most `Left` of this thread's groups are still in progress.
template <int Left>
__device__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Left) : "memory");
}

// Loads four 8x8 matrices of 16-bit numbers; lanes 8m to 8m+7 pass the addresses of the eight rows of
// matrix m. Lane i gets numbers 2(i%4), 2(i%4)+1 of row i/4; transposed, of column i/4.
__device__ inline void ldmatrix_x4(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ inline void ldmatrix_x4_trans(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// d (16x8, float) += a (16x16, bf16) b (16x8, bf16), spread over the warp's registers.
__device__ inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Two floats, each rounded to bf16 (ties to even), in one register.
__device__ inline unsigned pack_bf16(float lower, float upper) {
  unsigned both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(upper), "f"(lower));
  return both;
}

}  // namespace paligemma::cuda
