// What a kernel's file includes: CUDA under nvcc, its emulation under any other compiler. This is
// the only place that tells one from the other, so that no kernel has to.
//
// Beyond CUDA C++ both have: launch and launch_cooperative (launch.h); dynamic_shared<T>(), grid_sync,
// bar_sync, cp_async_*, ldmatrix_*, mma_bf16, pack_bf16 (ptx.h); wgmma_* (hopper.h).
//
// Rules of kernels: they stand in an unnamed namespace; there are no __device__ variables; no block
// waits for another but by grid_sync; PTX stands in ptx.h and hopper.h alone.
#pragma once

#ifdef __CUDACC__
#include <cuda_runtime.h>

#include "cuda/core/hardware_launch.h"
#include "cuda/core/hopper.h"
#include "cuda/core/ptx.h"
#else
#include "cuda/emulation/hopper.h"
#include "cuda/emulation/language.h"
#include "cuda/emulation/launch.h"
#include "cuda/emulation/ptx.h"
#endif
