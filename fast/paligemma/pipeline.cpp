#include "fast/paligemma/pipeline.h"

#include "fast/tensor/linear.h"
#include "fast/tensor/scaled_dot_product_attention.h"
#include "paligemma/pipeline_definitions.h"

namespace paligemma {

template class Pipeline<Fast>;

}  // namespace paligemma
