// How a kernel is started on a GPU. emulation/launch.h has the other one.
#pragma once

#include <cuda_runtime.h>

#include <utility>

#include "cuda/core/error.h"
#include "cuda/core/launch.h"

namespace paligemma::cuda {

inline void check_launch(cudaError_t status, const Launch& to) {
  if (status == cudaSuccess) return;
  throw CudaError(std::string(to.file) + ":" + std::to_string(to.line) +
                  ": launch: " + cudaGetErrorName(status) + ", " + cudaGetErrorString(status));
}

template <class... P>
void start_kernel(const Launch& to, bool cooperative, void (*kernel)(P...), P... arguments) {
  constexpr std::size_t kWithoutAsking = 48 * 1024;
  if (to.shared_bytes > kWithoutAsking) {
    check_launch(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(to.shared_bytes)),
                 to);
  }
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = cooperative ? 1 : 0;
  const cudaLaunchConfig_t config{to.grid, to.block, to.shared_bytes, to.stream, &attribute, 1u};
  check_launch(cudaLaunchKernelEx(&config, kernel, std::forward<P>(arguments)...), to);
}

}  // namespace paligemma::cuda
