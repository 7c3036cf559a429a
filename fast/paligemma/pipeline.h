// Pipeline on the CPU, fast: Pipeline<Fast> (paligemma/pipeline.h). Whatever has no fast version runs the
// reference's.
#pragma once

#include "paligemma/pipeline.h"

namespace paligemma {

extern template class Pipeline<Fast>;

}  // namespace paligemma
