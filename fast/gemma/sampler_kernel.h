// Sums and maxima of logits, for whatever instruction set the including file is compiled for.
#pragma once

#include "fast/core/math.h"
#include "fast/gemma/sampler_work.h"

namespace paligemma {
namespace {

// Calls f(kLanes logits); behind the last come -infinities.
template <class Function>
inline void for_lanes(const float* logits, Index count, const Function& f) {
  Index v = 0;
  for (; v + kLanes <= count; v += kLanes) f(load<Lanes>(logits + v));
  if (v == count) return;
  float rest[kLanes];
  for (int i = 0; i < kLanes; ++i) rest[i] = v + i < count ? logits[v + i] : -INFINITY;
  f(load<Lanes>(rest));
}

float max_logit(const float* logits, Index count) {
  Lanes max = broadcast(-INFINITY);
  for_lanes(logits, count, [&](Lanes x) {
    x = x < INFINITY ? x : broadcast(INFINITY);  // not taken by a NaN
    max = larger(max, x);
  });
  return max_of(max);
}

double sum_exp(const float* logits, Index count, float max) {
  double sum = 0;
  constexpr Index kChunk = 1024;  // a float sum of more terms would lose digits
  for (Index v = 0; v < count; v += kChunk) {
    Lanes part = {};
    for_lanes(logits + v, count - v < kChunk ? count - v : kChunk,
              [&](Lanes x) { part += exp(x - max); });
    for (int i = 0; i < kLanes; ++i) sum += part[i];
  }
  return sum;
}

void scaled_exp(const float* logits, Index count, float shift, float factor, float* y) {
  Index v = 0;
  for (; v + kLanes <= count; v += kLanes) {
    store(y + v, exp(load<Lanes>(logits + v) - shift) * factor);
  }
  for (; v < count; ++v) y[v] = exp(broadcast(logits[v] - shift))[0] * factor;
}

void cap_logits(float cap, float* logits, Index count) {
  Index v = 0;
  for (; v + kLanes <= count; v += kLanes) {
    store(logits + v, tanh(load<Lanes>(logits + v) / cap) * cap);
  }
  for (; v < count; ++v) logits[v] = tanh(broadcast(logits[v] / cap))[0] * cap;
}

}  // namespace
}  // namespace paligemma
