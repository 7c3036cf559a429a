// What the probe of the machine's limits asks of an instruction set (fast/core/probe.h).
#pragma once

#include <cstdint>

#include "tensor/view.h"

namespace paligemma {

// Each runs on the calling thread and returns how many operations (a product is one, its addition
// another) or bytes that was.
struct ProbeKernels {
  double (*f32)(Index rounds);
  double (*bf16)(Index rounds);  // of the instruction that products with bf16 weights are made of
  double (*int8)(Index rounds);
  double (*read)(const std::byte* memory, Index bytes);
};

}  // namespace paligemma
