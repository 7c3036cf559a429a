// Everything that the models of zeta/ ask of a Stream: the kernels of the leaves. Whoever instantiates zeta's
// templates for a Stream includes this.
#pragma once

#include "cuda/core/device_buffer.h"
#include "cuda/core/device_weights.h"
#include "cuda/gemma/kv_cache.h"
#include "cuda/gemma/prefix_lm_mask.h"
#include "cuda/gemma/rms_norm.h"
#include "cuda/gemma/sampler.h"
#include "cuda/gemma/token_embedding.h"
#include "cuda/siglip/position_embedding.h"
#include "cuda/tensor/layer_norm.h"
#include "cuda/tensor/linear.h"
#include "cuda/tensor/multiply.h"
#include "cuda/tensor/residual_add.h"
#include "cuda/tensor/scaled_dot_product_attention.h"
#include "cuda/tensor/unit_rows.h"
#include "cuda/zeta/patch_rows.h"
#include "cuda/zeta/rotary.h"
#include "cuda/zeta/sinusoid.h"
#include "zeta/palme.h"
