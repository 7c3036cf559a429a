// What the arguments of Encoder, Decoder and CrossAttender say. For config.cpp.
//
// Read next: zeta/shape.h.
#pragma once

#include "tensor/json.h"
#include "zeta/shape.h"

namespace paligemma::zeta {

constexpr Index kMaxWidth = 1 << 20;
constexpr Index kMaxLayers = 1024;

// Where zeta's numbers are not those that the papers define: true is what zeta does.
struct Numerics {
  bool divided_scale =
      true;  // attn_flash with attn_qk_norm: scores are divided by 10 H, not times 10
  bool turned_values = true;
  bool raw_memories = true;  // memories enter attention without the norm that x has had
  bool lost_qk_norm = true;  // PalmE's qk_norm reaches nobody
};

// `fields` has a "type", and the arguments of that class.
LayersShape layers_shape(const JsonFields& fields, const Numerics& numerics);

}  // namespace paligemma::zeta
