// EMA: the mean of a weight's late values, in place of its last one.
//
//   mean = mean + (1 - decay) (w - mean)
//
//   w     [O, I]   the weights behind a step
//   mean  [O, I]   before the first step, the weights as they were
//
// The last 1 / (1 - decay) steps or so count. What one step did by chance another undoes, so the mean is better than
// any of them where the rate is high. Where the rate falls to 0 the two are alike.
//
// Paper: Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the exponential form is
// Tarvainen & Valpola 2017, "Mean teachers are better role models", section 2. Torch's get_ema_multi_avg_fn has it in
// the same form.
//
// Read next: train/saved_run.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

// Throws ContractError unless 0 <= decay < 1.
void ema(Reference, double decay, View<const float, 2> w, View<float, 2> mean);

}  // namespace paligemma
