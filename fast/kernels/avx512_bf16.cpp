#include "fast/kernels/all.h"
#include "fast/kernels/sets.h"

namespace paligemma {

const Kernels kAvx512Bf16Kernels =
    kernels_named("avx512_bf16", PG_FEATURES, "bf16 by vdpbf16ps, 16 lanes; int8 by vpdpbusd");

}  // namespace paligemma
