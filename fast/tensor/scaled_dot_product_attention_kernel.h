// Attention, for whatever instruction set the including file is compiled for.
#pragma once

#include "fast/core/math.h"
#include "fast/core/parallel.h"
#if defined(PG_TILES)
#include "fast/tensor/amx_attention_kernel.h"
#else
#include "fast/tensor/float_attention_kernel.h"
#endif

namespace paligemma {
namespace {

// ---- a few queries --------------------------------------------------------------------------------

// Threads share the keys, and then the numbers of the values, so that each is read from memory once.

// Scores [queries, row] of the keys s to s + kLanes - 1; -infinity for what a query does not see.
void score_keys(const SharedHead& head, Index s, float* scores, Index row) {
  const AttentionWork& w = head.w;
  const float* k[kLanes];
  for (int i = 0; i < kLanes; ++i) k[i] = head.k(s + i < w.S ? s + i : w.S - 1);
  for (Index query = 0; query < head.count(); ++query) {
    const KeyRange keys = head.visible(query);
    Lanes score = broadcast(-INFINITY);
    if (s < keys.end && keys.begin < s + kLanes) {
      const float* const q = head.q(query);
      Lanes sum[kLanes] = {};
      Index h = 0;
      for (; h + kLanes <= w.H; h += kLanes) {
        const Lanes numbers = load<Lanes>(q + h);
        for (int i = 0; i < kLanes; ++i) sum[i] += numbers * load<Lanes>(k[i] + h);
      }
      score = sums_of(sum);
      for (; h < w.H; ++h) {
        for (int i = 0; i < kLanes; ++i) score[i] += q[h] * k[i][h];
      }
      score = scaled(score, w.rule);
      for (int i = 0; w.bias.any() && i < kLanes; ++i) score[i] += head.bias(query, s + i);
      for (int i = 0; i < kLanes; ++i) {
        if (s + i < keys.begin || s + i >= keys.end) score[i] = -INFINITY;
      }
    }
    store(scores + query * row + s, score);
  }
}

// Weights, which add up to 1, of `row` scores; returns the logarithm of what they were divided by.
float softmax(float* p, Index row) {
  Lanes largest = broadcast(-INFINITY);
  for (Index s = 0; s < row; s += kLanes) largest = larger(largest, load<Lanes>(p + s));
  const float max = max_of(largest);
  Lanes sums = {};
  for (Index s = 0; s < row; s += kLanes) {
    const Lanes weight = exp(load<Lanes>(p + s) - max);
    store(p + s, weight);
    sums += weight;
  }
  const float sum = sum_of(sums), share = 1.0f / sum;
  for (Index s = 0; s < row; s += kLanes) store(p + s, load<Lanes>(p + s) * share);
  return max + __builtin_logf(sum);
}

constexpr int kMixed = 4;  // registers of numbers at a time

// Numbers h to h + kMixed * kLanes - 1 of what comes out, of H.
void mix_values(const SharedHead& head, Index h, const float* weights, Index row) {
  const AttentionWork& w = head.w;
  for (Index query = 0; query < head.count(); ++query) {
    const KeyRange keys = head.visible(query);
    const float* const p = weights + query * row;
    float* const out = head.out(query);
    if (h + kMixed * kLanes <= w.H) {
      Lanes sum[kMixed] = {};
      for (Index s = keys.begin; s < keys.end; ++s) {
        const float* const v = head.v(s) + h;
        for (int i = 0; i < kMixed; ++i) sum[i] += p[s] * load<Lanes>(v + i * kLanes);
      }
      for (int i = 0; i < kMixed; ++i) store(out + h + i * kLanes, sum[i]);
      continue;
    }
    for (Index rest = h; rest < w.H; ++rest) {
      float sum = 0;
      for (Index s = keys.begin; s < keys.end; ++s) sum += p[s] * head.v(s)[rest];
      out[rest] = sum;
    }
  }
}

void attend_few(const Fast& on, const AttentionWork& w, bool worth) {
  const Index queries = w.T * (w.N / w.K), row = (w.S + kLanes - 1) / kLanes * kLanes;
  auto* const p = static_cast<float*>(
      on.scratch(0, Scratch::rows, static_cast<std::size_t>(w.K * queries * row) * sizeof(float)));
  const Index stretches = row / kLanes, parts = (w.H + kMixed * kLanes - 1) / (kMixed * kLanes);
  for_each(on, w.K * stretches, worth, [&](Index i, int) {
    const Index g = i / stretches;
    score_keys(SharedHead{w, g}, i % stretches * kLanes, p + g * queries * row, row);
  });
  for_each(on, w.K * queries, worth, [&](Index i, int) {
    float* const weights = p + i * row;
    const float log_sum_exp = softmax(weights, row);
    const Index at = SharedHead{w, i / queries}.row(i % queries);
    if (w.weights != nullptr) {
      std::memcpy(w.weights + at * w.S, weights, static_cast<std::size_t>(w.S) * sizeof(float));
    }
    if (w.log_sum_exp != nullptr) w.log_sum_exp[at] = log_sum_exp;
  });
  for_each(on, w.K * parts, worth, [&](Index i, int) {
    const Index g = i / parts;
    mix_values(SharedHead{w, g}, i % parts * kMixed * kLanes, p + g * queries * row, row);
  });
}

void attend(const Fast& on, const AttentionWork& w) {
  const bool worth = w.T * w.N * w.H * w.S > kWorthAThread;
  if (w.T * (w.N / w.K) <= kLanes) return attend_few(on, w, worth);
  attend_many(on, w, worth);
}

}  // namespace
}  // namespace paligemma
