// Attention for the registers of whatever processor the including file is compiled for.
#pragma once

#include <cstdlib>

#include "fast/core/tiles.h"
#include "fast/tensor/scaled_dot_product_attention/kernels.h"

namespace paligemma {
namespace {

constexpr Index kQueries = 8 * kTileRows;  // that share the packed keys
constexpr Index kMostHead = 512;           // numbers of a head that a panel has room for at once

// scores[t][s - first] for the keys first .. end - 1: one head's queries times its keys.
void score(const AttentionWork& w, Index n, Index g, Index t0, Index queries, Index first,
           Index end, float* scores, Index stride, float* panel) {
  const Index H = w.q.size(2);
  for (Index s = first; s < end; s += kPanel) {
    const int keys = static_cast<int>(end - s < kPanel ? end - s : kPanel);
    for (Index h = 0; h < H; h += kMostHead) {
      const int features = static_cast<int>(H - h < kMostHead ? H - h : kMostHead);
      pack_rows(&w.k(s, g, h), w.k.stride()[0], keys, features, panel);
      multiply_rows({&w.q(t0, n, h), w.q.stride()[0], panel, kPanel, features, scores + (s - first),
                     stride, keys, h == 0 ? Begin::zero : Begin::stored, nullptr},
                    queries);
    }
  }
}

// Scores become weights that sum up to one over `keys`, and zero elsewhere.
void weigh(float* row, Index count, KeyRange keys, AttentionRule rule) {
  float max = -INFINITY;
  for (Index s = keys.begin; s < keys.end; ++s) {
    row[s] *= rule.scale;
    if (rule.soft_cap != kNoSoftCap) row[s] = soft_capped(row[s], rule.soft_cap);
    max = row[s] > max ? row[s] : max;
  }
  float sum = 0.0f;
  for (Index s = 0; s < count; ++s) {
    const bool seen = keys.begin <= s && s < keys.end;
    row[s] = seen ? std::exp(row[s] - max) : 0.0f;
    sum += row[s];
  }
  for (Index s = keys.begin; s < keys.end; ++s) row[s] /= sum;
}

// out = weights times values, kPanel numbers of the head at a time. Values lie as a panel should, except
// for the last few columns of a head, which are copied.
void mix(const AttentionWork& w, Index n, Index g, Index t0, Index queries, Index first, Index end,
         const float* weights, Index stride, float* panel) {
  const Index H = w.q.size(2);
  for (Index h = 0; h < H; h += kPanel) {
    const int columns = static_cast<int>(H - h < kPanel ? H - h : kPanel);
    for (Index s = first; s < end; s += kMostHead) {
      const Index keys = end - s < kMostHead ? end - s : kMostHead;
      const float* values = &w.v(s, g, h);
      Index values_stride = w.v.stride()[0];
      if (columns < kPanel) {
        for (Index i = 0; i < keys; ++i) {
          for (int c = 0; c < kPanel; ++c) {
            panel[i * kPanel + c] = c < columns ? values[i * values_stride + c] : 0.0f;
          }
        }
        values = panel;
        values_stride = kPanel;
      }
      multiply_rows({weights + (s - first), stride, values, values_stride, keys, &w.out(t0, n, h),
                     w.out.stride()[0], columns, s == first ? Begin::zero : Begin::stored, nullptr},
                    queries);
    }
  }
}

void attend(const AttentionWork& w) {
  constexpr Index kWorthAThread = 1 << 16;  // products: about what waking a thread costs
  const Index T = w.q.size(0), N = w.q.size(1), H = w.q.size(2), S = w.k.size(0), K = w.k.size(1);
  const Index blocks = (T + kQueries - 1) / kQueries;
  const auto keys_of = [&](Index t) {
    return w.visible.size(0) > 0 ? w.visible(t) : KeyRange{0, S};
  };
#pragma omp parallel if (T * N * H * S > kWorthAThread)
  {
    auto* const scores = static_cast<float*>(
        std::malloc(static_cast<std::size_t>(kQueries * S + kMostHead * kPanel) * sizeof(float)));
    float* const panel = scores + kQueries * S;
#pragma omp for collapse(2) schedule(dynamic)
    for (Index n = 0; n < N; ++n) {
      for (Index b = 0; b < blocks; ++b) {
        const Index t0 = b * kQueries, queries = T - t0 < kQueries ? T - t0 : kQueries;
        const Index g = kv_head_of(n, N, K);
        KeyRange all = keys_of(t0);
        for (Index t = t0 + 1; t < t0 + queries; ++t) {
          const KeyRange keys = keys_of(t);
          all.begin = keys.begin < all.begin ? keys.begin : all.begin;
          all.end = keys.end > all.end ? keys.end : all.end;
        }
        const Index count = all.end - all.begin;
        score(w, n, g, t0, queries, all.begin, all.end, scores, count, panel);
        for (Index t = 0; t < queries; ++t) {
          const KeyRange keys = keys_of(t0 + t);
          weigh(scores + t * count, count, {keys.begin - all.begin, keys.end - all.begin}, w.rule);
        }
        mix(w, n, g, t0, queries, all.begin, all.end, scores, count, panel);
      }
    }
    std::free(scores);
  }
}

}  // namespace
}  // namespace paligemma
