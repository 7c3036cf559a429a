// Everything that a model asks of Fast: the fast versions of the leaves. What has none stands in
// fast/from_reference.h.
#pragma once

#include "fast/from_reference.h"
#include "fast/gemma/rms_norm.h"
#include "fast/gemma/rope.h"
#include "fast/gemma/sampler.h"
#include "fast/gemma/soft_cap.h"
#include "fast/siglip/patch_embedding.h"
#include "fast/tensor/gelu.h"
#include "fast/tensor/layer_norm.h"
#include "fast/tensor/linear.h"
#include "fast/tensor/lora.h"
#include "fast/tensor/quantized_linear.h"
#include "fast/tensor/residual_add.h"
#include "fast/tensor/scaled_dot_product_attention.h"
#include "paligemma/model.h"
