// zeta's Pipeline on the GPU (zeta/pipeline.h).
#pragma once

#include "cuda/core/stream.h"
#include "zeta/pipeline.h"

namespace paligemma::zeta {

extern template std::unique_ptr<Pipeline> open_pipeline(cuda::Stream, const PipelineOptions&);

}  // namespace paligemma::zeta
