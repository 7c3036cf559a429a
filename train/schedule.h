// Schedule: how the learning rate goes from the first step to the last.
//
//   step < warmup   step / warmup                                     0 at the first step
//   constant        1
//   linear          (steps - step) / (steps - begin)                  begin = warmup + flat, before which it is 1
//   cosine          (1 + cos( pi (step - begin) / (steps - begin) )) / 2
//   rsqrt           1 / sqrt( 1 + (step - warmup) / timescale )       does not know the end
//
//   step       0 for the first one
//   result     a factor of the learning rate, 0 to 1; 0 from `steps` on, but for constant and rsqrt
//
// Papers: Loshchilov & Hutter 2016, "SGDR", eq. 5 (cosine, without restarts); Zhai et al. 2021, "Scaling vision
// transformers", section 3.5 (rsqrt, with big_vision's timescale). Source: transformers 5.23.0, optimization.py, whose
// cosine rises again behind the last step; here it stays at 0.
//
// Read next: train/optimizer.h.
#pragma once

#include "tensor/view.h"

namespace paligemma {

enum class Decay { constant, linear, cosine, rsqrt };

struct Schedule {
  Decay decay = Decay::constant;
  Index warmup = 0;
  Index steps = 0;           // of the whole run
  double timescale = 10000;  // of rsqrt
  Index flat = 0;            // of linear and cosine: steps at the whole rate

  double at(Index step) const;
};

}  // namespace paligemma
