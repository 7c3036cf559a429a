// Turns a status of CUDA's host functions into an exception. Included by what runs on a GPU only.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "cuda/core/error.h"

namespace paligemma::cuda {

inline void check(cudaError_t status, const std::string& call) {
  if (status == cudaSuccess) return;
  throw CudaError(call + ": " + cudaGetErrorName(status) + ", " + cudaGetErrorString(status));
}

}  // namespace paligemma::cuda
