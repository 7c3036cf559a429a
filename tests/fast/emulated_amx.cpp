// The kernels of AMX for tests on machines without it: sixteen lanes by whatever registers there are, and tile
// registers and products written out.
#define PG_EMULATE_AVX512
#define PG_EMULATE_AMX
#include "fast/kernels/all.h"

namespace paligemma {

extern const Kernels kEmulatedAmxKernels;
const Kernels kEmulatedAmxKernels =
    kernels_named("emulated_amx", "", "bf16, int8 by tiles, written out");

}  // namespace paligemma
