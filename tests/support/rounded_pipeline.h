// Pipeline<Rounded> (rounded.h).
#pragma once

#include "paligemma/pipeline.h"
#include "tests/support/rounded.h"

namespace paligemma {

extern template class Pipeline<test::Rounded>;

}  // namespace paligemma
