// Everything that the models of zeta/ ask of Fast: the fast versions of the leaves. What has none stands in
// fast/from_reference.h.
#pragma once

#include "fast/from_reference.h"
#include "fast/gemma/rms_norm.h"
#include "fast/gemma/sampler.h"
#include "fast/tensor/gelu.h"
#include "fast/tensor/layer_norm.h"
#include "fast/tensor/linear.h"
#include "fast/tensor/residual_add.h"
#include "fast/tensor/scaled_dot_product_attention.h"
#include "zeta/palme.h"
