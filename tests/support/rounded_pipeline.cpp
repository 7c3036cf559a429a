#include "tests/support/rounded_pipeline.h"

#include "paligemma/pipeline_definitions.h"

namespace paligemma {

template class Pipeline<test::Rounded>;

}  // namespace paligemma
