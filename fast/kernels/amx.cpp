// Compilers have no common macro for it: g++ 12 defines __AMX_TILE__, clang 14 __AMXTILE__.
#define PG_AMX
#include "fast/kernels/all.h"
#include "fast/kernels/sets.h"

namespace paligemma {

const Kernels kAmxKernels =
    kernels_named("amx", PG_FEATURES, "bf16 and int8 by tiles, tdpbf16ps and tdpbssd");

}  // namespace paligemma
