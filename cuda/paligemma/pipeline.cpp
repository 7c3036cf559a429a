#include "cuda/paligemma/pipeline.h"

#include "cuda/paligemma/model.h"
#include "paligemma/pipeline_definitions.h"

namespace paligemma {

template class Pipeline<cuda::Stream>;

}  // namespace paligemma
