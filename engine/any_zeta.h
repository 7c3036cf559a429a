// Pipelines of zeta's models (zeta/pipeline.h), one for each executor. Throw as they do.
#pragma once

#include <memory>

#include "zeta/pipeline.h"

namespace paligemma {

struct Kernels;

std::unique_ptr<zeta::Pipeline> open_zeta_reference(const zeta::PipelineOptions& options);
std::unique_ptr<zeta::Pipeline> open_zeta_fast(const Kernels* kernels, int threads,
                                               const zeta::PipelineOptions& options);
// All calls come from the thread that opens it.
std::unique_ptr<zeta::Pipeline> open_zeta_cuda(int device, const zeta::PipelineOptions& options);

}  // namespace paligemma
