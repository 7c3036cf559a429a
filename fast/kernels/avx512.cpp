#include "fast/kernels/all.h"
#include "fast/kernels/sets.h"

namespace paligemma {

const Kernels kAvx512Kernels =
    kernels_named("avx512", PG_FEATURES, "float products, 16 lanes; int8 by vpdpbusd");

}  // namespace paligemma
