// Pipeline on the GPU: Pipeline<cuda::Stream> (paligemma/pipeline.h).
//
//   const Pipeline<cuda::Stream> pipeline(cuda::Stream(), {.model = "models/tiny"});
#pragma once

#include "cuda/core/device_buffer.h"
#include "cuda/core/device_weights.h"
#include "paligemma/pipeline.h"
