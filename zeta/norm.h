// The norms of zeta's layers, by what a model says that it has, and products with a number.
#pragma once

#include "gemma/rms_norm.h"
#include "tensor/layer_norm.h"
#include "tensor/multiply.h"
#include "tensor/unit_rows.h"
#include "zeta/scratch.h"

namespace paligemma::zeta {

inline constexpr float kLayerNormEps = 1e-5f;  // PyTorch's; SigLIP's is 1e-6

template <class W>
struct NormWeights {
  typename W::Vector scale;      // [D]; ones for simple_rms, one number again and again for scale
  typename W::Vector bias = {};  // [D], of a LayerNorm
};

// RMSNorm is a row of length sqrt(D): max(|x|, 1e-12) there is an eps of nearly nothing here.
template <class On, class W>
void norm(const On& on, NormKind kind, const NormWeights<W>& w, ConstRowsOn<On> x, RowsOn<On> y) {
  switch (kind) {
    case NormKind::layer:
      return layer_norm(on, x, w.scale, w.bias, kLayerNormEps, y);
    case NormKind::rms:
    case NormKind::simple_rms:
      return rms_norm(on, x, w.scale, {1e-24f, 0}, y);
    case NormKind::scale:
      return unit_rows(on, x, UnitRule{1, 1e-5f}, w.scale, y);
  }
}

// A learned number for each feature, as a row that multiply() takes.
template <class Number, Space S>
View<const Number, 2, S> row_of(View<const Number, 1, S> numbers) {
  return {numbers.data(), {1, numbers.size(0)}};
}

// x times a number.
template <class On>
void scale(const On& on, float factor, RowsOn<On> x) {
  multiply(on, ConstRowsOn<On>(), MultiplyRule{Gate::identity, factor}, x);
}

}  // namespace paligemma::zeta
