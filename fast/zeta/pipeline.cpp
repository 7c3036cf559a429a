#include "fast/zeta/pipeline.h"

#include "fast/zeta/palme.h"
#include "zeta/pipeline_definitions.h"

namespace paligemma::zeta {

template std::unique_ptr<Pipeline> open_pipeline(Fast, const PipelineOptions&);

}  // namespace paligemma::zeta
