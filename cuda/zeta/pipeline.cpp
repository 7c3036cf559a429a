#include "cuda/zeta/pipeline.h"

#include "cuda/zeta/palme.h"
#include "zeta/pipeline_definitions.h"

namespace paligemma::zeta {

template std::unique_ptr<Pipeline> open_pipeline(cuda::Stream, const PipelineOptions&);

}  // namespace paligemma::zeta
