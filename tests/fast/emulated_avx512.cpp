// The kernels of AVX-512 for tests on machines without it: sixteen lanes by whatever registers there are,
// and its two products written out.
#define PG_EMULATE_AVX512
#include "fast/kernels/all.h"

namespace paligemma {

extern const Kernels kEmulatedAvx512Kernels;
const Kernels kEmulatedAvx512Kernels =
    kernels_named("emulated_avx512", "", "bf16, int8, written out");

}  // namespace paligemma
