// What CUDA, or its emulation, refuses to do. The message names the call, or the launch and its line.
#pragma once

#include <stdexcept>

namespace paligemma::cuda {

struct CudaError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace paligemma::cuda
