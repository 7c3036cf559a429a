#include "fast/paligemma/pipeline.h"

#include "fast/paligemma/model.h"
#include "paligemma/pipeline_definitions.h"

namespace paligemma {

template class Pipeline<Fast>;

}  // namespace paligemma
