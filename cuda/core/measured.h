// The GPUs whose kernels have been tested and measured: the compute capabilities, 90 for 9.0, that have a page
// docs/cuda/results/sm_<90>.md (tests/repository_test.py compares). Others run where they are asked for.
#pragma once

#include <algorithm>
#include <vector>

namespace paligemma::cuda {

inline const std::vector<int> kMeasured{};

inline bool is_measured(int capability) {
  return std::find(kMeasured.begin(), kMeasured.end(), capability) != kMeasured.end();
}

}  // namespace paligemma::cuda
