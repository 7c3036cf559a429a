// Kernels of which one computes nonsense.
#pragma once

#include "fast/core/kernels.h"

namespace paligemma::test {

// The portable kernels, but for one.
inline const Kernels& portable() { return *available_kernels().back(); }
template <class Change>
Kernels portable_but(const Change& change) {
  Kernels kernels = portable();
  change(kernels);
  return kernels;
}

}  // namespace paligemma::test
