// What attention's kernel knows of the queries that share a head of keys and values, and how a score becomes
// what the softmax sees.
#pragma once

#include "fast/core/math.h"
#include "fast/tensor/scaled_dot_product_attention_work.h"

namespace paligemma {
namespace {

// The queries that share a head g of keys and values: all tokens of N / K heads, token by token.
struct SharedHead {
  const AttentionWork& w;
  Index g;

  Index heads() const { return w.N / w.K; }
  Index count() const { return w.T * heads(); }
  Index token(Index query) const { return query / heads(); }
  Index head(Index query) const { return g * heads() + query % heads(); }
  const float* q(Index query) const {
    return w.q + token(query) * w.q_token + head(query) * w.q_head;
  }
  float* out(Index query) const {
    return w.out + token(query) * w.out_token + head(query) * w.out_head;
  }
  KeyRange visible(Index query) const {
    return w.visible != nullptr ? w.visible[token(query)] : KeyRange{0, w.S};
  }
  float bias(Index query, Index s) const { return w.bias.at(token(query), head(query), s); }
  Index row(Index query) const { return token(query) * w.N + head(query); }  // of the maps
  const float* k(Index s) const { return w.k + s * w.k_token + g * w.k_head; }
  const float* v(Index s) const { return w.v + s * w.v_token + g * w.v_head; }
};

inline Lanes scaled(Lanes score, AttentionRule rule) {
  score *= rule.scale;
  return rule.soft_cap == kNoSoftCap ? score : tanh(score / rule.soft_cap) * rule.soft_cap;
}

// Where there are many queries, lanes are queries.
constexpr int kColumnRegisters = 2;
constexpr int kColumns = kColumnRegisters * kLanes;  // queries at a time

// What is added to the scores of a key, for kColumns queries. Beyond the last of them it is nothing.
struct BiasColumn {
  const SharedHead& head;
  Index first;
  int queries;
  Lanes slope[kColumnRegisters] = {};
  Lanes place[kColumnRegisters] = {};  // the key beside each query

  BiasColumn(const SharedHead& of, Index first_query, int count)
      : head(of), first(first_query), queries(count) {
    const DistanceBiasOfKernel& bias = head.w.bias;
    for (int j = 0; bias.slope != nullptr && j < queries; ++j) {
      slope[j / kLanes][j % kLanes] = bias.slope[head.head(first + j)];
      place[j / kLanes][j % kLanes] = static_cast<float>(bias.first_query + head.token(first + j));
    }
  }
  Lanes of(int v, Index s) const {
    Lanes sum = {};
    if (head.w.bias.table != nullptr) {
      for (int j = v * kLanes; j < (v + 1) * kLanes && j < queries; ++j) {
        sum[j % kLanes] = head.bias(first + j, s);
      }
      return sum;
    }
    const Lanes distance = static_cast<float>(s) - place[v];
    return -slope[v] * larger(distance, -distance);
  }
};

}  // namespace
}  // namespace paligemma
