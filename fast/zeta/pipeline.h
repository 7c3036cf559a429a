// zeta's Pipeline on the CPU, fast (zeta/pipeline.h).
#pragma once

#include "fast/core/fast.h"
#include "zeta/pipeline.h"

namespace paligemma::zeta {

extern template std::unique_ptr<Pipeline> open_pipeline(Fast, const PipelineOptions&);

}  // namespace paligemma::zeta
