// Pipeline on the CPU, fast: Pipeline<Fast> (paligemma/pipeline.h).
#pragma once

#include "fast/core/fast.h"
#include "paligemma/pipeline.h"

namespace paligemma {

extern template class Pipeline<Fast>;

}  // namespace paligemma
