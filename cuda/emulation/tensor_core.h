// What cuda/core/ptx.h's instructions do, for the emulated ones of cuda/emulation/ptx.h.
#pragma once

#include <cstdint>

#include "cuda/emulation/scheduler.h"

namespace paligemma::emulation {

void need_aligned(const char* operation, const void* p, const Site&);  // to 16 bytes

void copy_async(void* to, const void* from, unsigned bytes, unsigned from_bytes, const Site&);
void copy_commit();
void copy_wait(unsigned groups_left);

unsigned long take_ldmatrix_conflicts();
void ldmatrix(unsigned* registers, unsigned count, bool transposed, const void* row, const Site&);
void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const Site&);

std::uint64_t wgmma_tile(const void* tile, const Site&);
void fence_proxy_async();
void wgmma_fence();
void wgmma_bf16(float* d, int columns, std::uint64_t a, std::uint64_t b, const Site&);
void wgmma_commit();
void wgmma_wait(unsigned groups_left);

}  // namespace paligemma::emulation
