// The instruction sets that this program has kernels for.
#pragma once

#include "fast/core/kernels.h"

namespace paligemma {

extern const Kernels kPortableKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels, kAvx512Kernels, kAvx512Bf16Kernels, kAmxKernels;
#endif

}  // namespace paligemma
