// In the place of cuda.cpp and of all kernels, in the program `paligemma` and in a library that was built without
// them.
#include <stdexcept>

#include "cuda/core/device.h"
#include "engine/any_pipeline.h"
#include "engine/any_zeta.h"

namespace paligemma {
namespace cuda {

std::string device_problem() { return "no CUDA device: paligemma was built without CUDA"; }
std::vector<DeviceInfo> devices() { return {}; }
bool is_emulated() { return false; }

}  // namespace cuda

bool has_cuda() { return false; }

std::unique_ptr<const AnyPipeline> open_cuda(int, const PipelineOptions&) {
  throw std::runtime_error(cuda::device_problem());
}

std::unique_ptr<zeta::Pipeline> open_zeta_cuda(int, const zeta::PipelineOptions&) {
  throw std::runtime_error(cuda::device_problem());
}

}  // namespace paligemma
