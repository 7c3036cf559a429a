#include "fast/kernels/all.h"
#include "fast/kernels/sets.h"

namespace paligemma {

const Kernels kPortableKernels =
    kernels_named("portable", "", "float products, 4 lanes; int8 by pairs of 16 bits");

}  // namespace paligemma
