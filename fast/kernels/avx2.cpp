#include "fast/kernels/all.h"
#include "fast/kernels/sets.h"

namespace paligemma {

const Kernels kAvx2Kernels =
    kernels_named("avx2", PG_FEATURES, "float products, 8 lanes; int8 by vpmaddwd");

}  // namespace paligemma
