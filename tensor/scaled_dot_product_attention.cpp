#include "tensor/scaled_dot_product_attention.h"

#include <omp.h>

#include <algorithm>

#include "tensor/buffer.h"
#include "tensor/dot.h"
#include "tensor/softmax.h"

namespace paligemma {
namespace {

float log_sum_exp(View<const float, 1> scores) {
  const float *const begin = scores.data(), *const end = begin + scores.size(0);
  const float max = *std::max_element(begin, end);
  float sum = 0;
  for (const float* score = begin; score < end; ++score) sum += std::exp(*score - max);
  return max + std::log(sum);
}

}  // namespace

void check_attention(View<const float, 3> q, View<const float, 3> k, View<const float, 3> v,
                     View<const KeyRange, 1> visible, View<const float, 3> out) {
  const Index T = q.size(0), N = q.size(1), H = q.size(2), S = k.size(0), K = k.size(1);
  const std::string shapes = "q " + shape_text(q) + ", k " + shape_text(k) + ", v " + shape_text(v);
  PG_CHECK(k.size(2) == H && v.shape() == k.shape(), shapes);
  PG_CHECK(K > 0 && N % K == 0, shapes + ": each KV head serves the same number of query heads");
  PG_CHECK(out.shape() == q.shape(), shapes + ", out " + shape_text(out));
  PG_CHECK(q.stride()[2] == 1 && k.stride()[2] == 1 && out.stride()[2] == 1,
           shapes + ": the numbers of a head must be contiguous");
  PG_CHECK(visible.size(0) == 0 || visible.size(0) == T,
           shapes + ", visible " + shape_text(visible));
  for (Index t = 0; t < visible.size(0); ++t) {
    const KeyRange keys = visible(t);
    PG_CHECK(0 <= keys.begin && keys.begin < keys.end && keys.end <= S,
             "query " + std::to_string(t) + " sees keys " + std::to_string(keys.begin) + " to " +
                 std::to_string(keys.end) + " of " + std::to_string(S));
  }
  PG_CHECK(T == 0 || S > 0, shapes + ": there must be a key to see");
}

template <Space S>
void check_attention(const DistanceBias<S>& bias, const AttentionMaps<S>& maps, Index T, Index N,
                     Index keys) {
  const auto& [slope, table, first_query, first_distance] = bias;
  const std::string heads = std::to_string(N) + " heads, ";
  PG_CHECK(slope.data() == nullptr || (slope.size(0) == N && slope.is_row_major()),
           heads + "slope " + shape_text(slope));
  PG_CHECK(
      table.data() == nullptr || (table.size(0) == N && table.size(1) > 0 && table.is_row_major()),
      heads + "table " + shape_text(table));
  const auto& [weights, log_sum_exp] = maps;
  PG_CHECK(weights.data() == nullptr ||
               (weights.shape() == std::array{T, N, keys} && weights.is_row_major()),
           "weights " + shape_text(weights) + " of " + std::to_string(keys) + " keys");
  PG_CHECK(log_sum_exp.data() == nullptr ||
               (log_sum_exp.shape() == std::array{T, N} && log_sum_exp.is_row_major()),
           "log_sum_exp " + shape_text(log_sum_exp));
}
template void check_attention(const DistanceBias<Space::host>&, const AttentionMaps<Space::host>&,
                              Index, Index, Index);
template void check_attention(const DistanceBias<Space::device>&,
                              const AttentionMaps<Space::device>&, Index, Index, Index);

void scaled_dot_product_attention(Reference, View<const float, 3> q, View<const float, 3> k,
                                  View<const float, 3> v, View<const KeyRange, 1> visible,
                                  AttentionRule rule, View<float, 3> out,
                                  const DistanceBias<>& bias, AttentionMaps<> maps) {
  const Index T = q.size(0), N = q.size(1), H = q.size(2), S = k.size(0), K = k.size(1);
  check_attention(q, k, v, visible, out);
  check_attention(bias, maps, T, N, S);
  check_dropout(rule.dropout);
  const DistanceBiasOfKernel distance_bias(bias);
  const auto keys_of = [=](Index t) { return visible.size(0) > 0 ? visible(t) : KeyRange{0, S}; };

  // One for each thread, as in linear.cpp.
  Buffer<float, 2> rows({omp_get_max_threads(), S}, unwritten);
#pragma omp parallel for collapse(2)
  for (Index n = 0; n < N; ++n) {
    for (Index t = 0; t < T; ++t) {
      float* row = rows.view().row(omp_get_thread_num()).data();
      const Index g = kv_head_of(n, N, K);
      const KeyRange keys = keys_of(t);

      // The scores of this query against every key it may see.
      for (Index s = keys.begin; s < keys.end; ++s) {
        float score = rule.scale * dot(&q(t, n, 0), &k(s, g, 0), H);
        if (rule.soft_cap != kNoSoftCap) score = soft_capped(score, rule.soft_cap);
        row[s] = score + distance_bias.at(t, n, s);
      }
      const View<float, 2> scores(&row[keys.begin], {1, keys.end - keys.begin});
      if (maps.log_sum_exp.data() != nullptr) maps.log_sum_exp(t, n) = log_sum_exp(scores.row(0));
      softmax(reference, scores, scores);
      if (maps.weights.data() != nullptr) {
        float* const weights = &maps.weights(t, n, 0);
        std::fill_n(weights, S, 0.0f);
        std::copy(row + keys.begin, row + keys.end, weights + keys.begin);
      }

      if (rule.dropout.rate > 0) {
        for (Index s = keys.begin; s < keys.end; ++s) {
          row[s] *= dropout_factor(rule.dropout, t, n * S + s);
        }
      }

      // The mean of the values, weighted by them.
      std::fill_n(&out(t, n, 0), H, 0.0f);
      for (Index s = keys.begin; s < keys.end; ++s) {
        for (Index h = 0; h < H; ++h) out(t, n, h) += row[s] * v(s, g, h);
      }
    }
  }
}

void check_attention_backward(const AttentionForward& forward, View<const float, 3> dout,
                              const AttentionGradients& d) {
  const auto& [q, k, v, visible, rule, out, log_sum_exp] = forward;
  check_attention(q, k, v, visible, out);
  PG_CHECK((log_sum_exp.shape() == std::array{q.size(0), q.size(1)}),
           "log_sum_exp " + shape_text(log_sum_exp));
  PG_CHECK(dout.shape() == q.shape() && d.q.shape() == q.shape() && d.k.shape() == k.shape() &&
               d.v.shape() == k.shape(),
           "q " + shape_text(q) + ", k " + shape_text(k) + ", dout " + shape_text(dout) + ", dq " +
               shape_text(d.q) + ", dk " + shape_text(d.k) + ", dv " + shape_text(d.v));
}

void scaled_dot_product_attention_backward(Reference, const AttentionForward& forward,
                                           View<const float, 3> dout, AttentionGradients d) {
  const View<const float, 3> q = forward.q, k = forward.k, v = forward.v, out = forward.out;
  const View<const KeyRange, 1> visible = forward.visible;
  const AttentionRule rule = forward.rule;
  const View<const float, 2> log_sum_exp = forward.log_sum_exp;
  const Index T = q.size(0), N = q.size(1), H = q.size(2), S = k.size(0), K = k.size(1);
  check_attention_backward(forward, dout, d);
  check_dropout(rule.dropout);
  const auto add = [H](float factor, const float* row, float* sum) {
    for (Index h = 0; h < H; ++h) sum[h] += factor * row[h];
  };

  // A thread has a shared head to itself, so that sums have an order.
#pragma omp parallel for
  for (Index g = 0; g < K; ++g) {
    for (Index n = g * (N / K); n < (g + 1) * (N / K); ++n) {
      for (Index t = 0; t < T; ++t) {
        const KeyRange keys = visible.size(0) > 0 ? visible(t) : KeyRange{0, S};
        const float mean = dot(&dout(t, n, 0), &out(t, n, 0), H);
        for (Index s = keys.begin; s < keys.end; ++s) {
          float score = rule.scale * dot(&q(t, n, 0), &k(s, g, 0), H), slope = rule.scale;
          if (rule.soft_cap != kNoSoftCap) {
            score = soft_capped(score, rule.soft_cap);
            slope *= 1.0f - score / rule.soft_cap * (score / rule.soft_cap);
          }
          const float weight = std::exp(score - log_sum_exp(t, n));
          const float factor =
              rule.dropout.rate > 0 ? dropout_factor(rule.dropout, t, n * S + s) : 1.0f;
          const float dweight = factor * dot(&dout(t, n, 0), &v(s, g, 0), H);
          const float dproduct = weight * (dweight - mean) * slope;
          add(dproduct, &k(s, g, 0), &d.q(t, n, 0));
          add(dproduct, &q(t, n, 0), &d.k(s, g, 0));
          add(weight * factor, &dout(t, n, 0), &d.v(s, g, 0));
        }
      }
    }
  }
}

}  // namespace paligemma
