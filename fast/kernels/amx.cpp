#include "fast/kernels/all.h"
#include "fast/kernels/sets.h"

namespace paligemma {

const Kernels kAmxKernels =
    kernels_named("amx", PG_FEATURES, "bf16 and int8 by tiles, tdpbf16ps and tdpbssd");

}  // namespace paligemma
