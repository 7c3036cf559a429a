// Cross entropy on the CPU, fast. The contract is train/cross_entropy.h's; threads share the rows. Rows that are no
// stretch of memory are the reference's.
#pragma once

#include "fast/core/fast.h"
#include "train/cross_entropy.h"

namespace paligemma {

void cross_entropy(const Fast& on, View<const float, 2> logits, View<const TokenId, 1> targets,
                   View<const float, 1> weights, const Aim& aim, View<float, 1> losses,
                   View<float, 2> dlogits);

}  // namespace paligemma
