// Everything that a model asks of a Stream: the kernels of the leaves, and one decoded token as a graph. The
// towers are the templates of siglip/ and gemma/; whoever instantiates paligemma/model.h for a Stream
// includes this.
#pragma once

#include "cuda/gemma/decoder_block.h"
#include "cuda/gemma/kv_cache.h"
#include "cuda/gemma/prefix_lm_mask.h"
#include "cuda/gemma/rms_norm.h"
#include "cuda/gemma/rope.h"
#include "cuda/gemma/sampler.h"
#include "cuda/gemma/soft_cap.h"
#include "cuda/gemma/token_embedding.h"
#include "cuda/paligemma/generate.h"
#include "cuda/paligemma/weights.h"
#include "cuda/siglip/patch_embedding.h"
#include "cuda/siglip/position_embedding.h"
#include "cuda/tensor/gelu.h"
#include "cuda/tensor/layer_norm.h"
#include "cuda/tensor/linear.h"
#include "cuda/tensor/lora.h"
#include "cuda/tensor/residual_add.h"
#include "cuda/tensor/scaled_dot_product_attention.h"
#include "cuda/tensor/softmax.h"
#include "paligemma/model.h"
