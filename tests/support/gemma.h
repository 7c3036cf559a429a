// Gemma's decoder once more, from the papers, for the tests of its composites. It shares no code
// with them: no cache, no steps, no key ranges; the whole sequence from position 0 at once, every
// score written out and masked by the rule in words, rotations as complex numbers.
//
// Real = double is the oracle. Real = float is one sample of what rounding does on the way there.
#pragma once

#include <complex>
#include <deque>
#include <vector>

#include "gemma/decoder.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma::test {

template <class Real>
using Table = std::vector<std::vector<Real>>;  // [row][column]

template <class Real, class T>
Table<Real> table_of(View<T, 2> x) {
  Table<Real> table(static_cast<std::size_t>(x.size(0)));
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index d = 0; d < x.size(1); ++d) table[t].push_back(static_cast<Real>(widen(x(t, d))));
  }
  return table;
}

template <class Real>
Buffer<float, 2> floats_of(const Table<Real>& table) {
  Buffer<float, 2> x({static_cast<Index>(table.size()), static_cast<Index>(table[0].size())});
  for (Index t = 0; t < x.view().size(0); ++t) {
    for (Index d = 0; d < x.view().size(1); ++d) {
      x.view()(t, d) = static_cast<float>(table[t][d]);
    }
  }
  return x;
}

// The definition.

template <class Real, class Weight>
Table<Real> projected(const Table<Real>& x, View<const Weight, 2> weight) {
  Table<Real> y(x.size(), std::vector<Real>(static_cast<std::size_t>(weight.size(0))));
  for (std::size_t t = 0; t < x.size(); ++t) {
    for (Index o = 0; o < weight.size(0); ++o) {
      for (Index i = 0; i < weight.size(1); ++i) y[t][o] += x[t][i] * Real(widen(weight(o, i)));
    }
  }
  return y;
}

template <class Real, class Weight>
Table<Real> normed(Table<Real> x, View<const Weight, 1> scale, const gemma::DecoderShape& shape) {
  for (auto& row : x) {
    Real sum_sq = 0;
    for (Real value : row) sum_sq += value * value;
    const Real rms = std::sqrt(sum_sq / static_cast<Real>(row.size()) + Real(shape.norm_eps));
    for (std::size_t d = 0; d < row.size(); ++d) {
      row[d] = row[d] / rms * (Real(shape.norm_offset) + Real(widen(scale(static_cast<Index>(d)))));
    }
  }
  return x;
}

template <class Real>
Table<Real> sum(Table<Real> x, const Table<Real>& y) {
  for (std::size_t t = 0; t < x.size(); ++t) {
    for (std::size_t d = 0; d < x[t].size(); ++d) x[t][d] += y[t][d];
  }
  return x;
}

template <class Real>
Real capped(Real x, float cap) {
  return cap == kNoSoftCap ? x : Real(cap) * std::tanh(x / Real(cap));
}

// Rows hold `heads` heads of size H one after the other; row t is at position t. Features j and
// j + H/2 are the real and the imaginary part of a number that position t turns by an angle.
template <class Real>
Table<Real> turned(Table<Real> x, Index heads, Index H, float theta) {
  for (std::size_t t = 0; t < x.size(); ++t) {
    for (Index n = 0; n < heads; ++n) {
      for (Index j = 0; j < H / 2; ++j) {
        Real &real = x[t][n * H + j], &imaginary = x[t][n * H + j + H / 2];
        const Real frequency = std::pow(Real(theta), -Real(2) * Real(j) / Real(H));
        const auto z = std::complex<Real>(real, imaginary) *
                       std::polar(Real(1), static_cast<Real>(t) * frequency);
        real = z.real();
        imaginary = z.imag();
      }
    }
  }
  return x;
}

inline bool may_see(Index query, Index key, Index prefix, Index window) {
  const bool both_in_prefix = query < prefix && key < prefix;
  return both_in_prefix || (key <= query && query - key < window);
}

template <class Real, class W>
Table<Real> self_attention_again(const gemma::SelfAttentionWeights<W>& w,
                                 const gemma::DecoderShape& shape, Index layer, Index prefix,
                                 const Table<Real>& x) {
  const Index N = shape.heads, K = shape.kv_heads, H = shape.head_size;
  const auto T = static_cast<Index>(x.size());
  const auto q = turned(projected(x, w.q.weight), N, H, shape.rope_theta);
  const auto k = turned(projected(x, w.k.weight), K, H, shape.rope_theta);
  const auto v = projected(x, w.v.weight);

  Table<Real> mixed(x.size(), std::vector<Real>(static_cast<std::size_t>(N * H)));
  for (Index t = 0; t < T; ++t) {
    for (Index n = 0; n < N; ++n) {
      const Index g = n * K / N;
      std::vector<Real> weight(x.size());
      Real total = 0;
      for (Index s = 0; s < T; ++s) {
        if (!may_see(t, s, prefix, shape.window[layer])) continue;
        Real score = 0;
        for (Index h = 0; h < H; ++h) score += q[t][n * H + h] * k[s][g * H + h];
        weight[s] = std::exp(capped(score * Real(shape.query_scale), shape.attention_soft_cap));
        total += weight[s];
      }
      for (Index s = 0; s < T; ++s) {
        for (Index h = 0; h < H; ++h) {
          mixed[t][n * H + h] += weight[s] / total * v[s][g * H + h];
        }
      }
    }
  }
  return projected(mixed, w.out.weight);
}

template <class Real, class W>
Table<Real> geglu_mlp_again(const gemma::GegluMlpWeights<W>& w, const gemma::DecoderShape& shape,
                            const Table<Real>& x) {
  auto hidden = projected(x, w.gate.weight);
  const auto up = projected(x, w.up.weight);
  for (std::size_t t = 0; t < x.size(); ++t) {
    for (std::size_t f = 0; f < hidden[t].size(); ++f) {
      const Real g = hidden[t][f];
      const Real open =
          shape.gelu == GeluForm::exact
              ? std::erfc(-g / std::sqrt(Real(2))) / 2
              : 1 / (1 + std::exp(-Real(1.5957691216057308) * (g + Real(0.044715) * g * g * g)));
      hidden[t][f] = g * open * up[t][f];
    }
  }
  return projected(hidden, w.down.weight);
}

// What a block's four taps show.
template <class Real>
struct BlockAgain {
  Table<Real> attn, plus_attn, mlp, plus_mlp;
};

template <class Real, class W>
BlockAgain<Real> decoder_block_again(const gemma::DecoderBlockWeights<W>& w,
                                     const gemma::DecoderShape& shape, Index layer, Index prefix,
                                     const Table<Real>& x) {
  BlockAgain<Real> block;
  block.attn = self_attention_again(w.self_attention, shape, layer, prefix,
                                    normed(x, w.pre_attention_norm, shape));
  if (shape.norms == gemma::Norms::pre_and_post)
    block.attn = normed(block.attn, w.post_attention_norm, shape);
  block.plus_attn = sum(x, block.attn);
  block.mlp = geglu_mlp_again(w.mlp, shape, normed(block.plus_attn, w.pre_mlp_norm, shape));
  if (shape.norms == gemma::Norms::pre_and_post)
    block.mlp = normed(block.mlp, w.post_mlp_norm, shape);
  block.plus_mlp = sum(block.plus_attn, block.mlp);
  return block;
}

template <class Real, class W>
Table<Real> decoder_again(const gemma::DecoderWeights<W>& w, const gemma::DecoderShape& shape,
                          Index prefix, Table<Real> x) {
  for (Index i = 0; i < shape.layers; ++i) {
    x = decoder_block_again(w.blocks[i], shape, i, prefix, x).plus_mlp;
  }
  return normed(x, w.final_norm, shape);
}

// Eight times the largest difference between the definition in float and in double, and at least
// four units in the last place of the largest value: the rule of tests/golden/README.md. The
// difference is one sample of what rounding does to this computation; another order of summation
// gives another sample.
inline Tolerance tolerance_of(const Table<float>& in_float, const Table<double>& in_double) {
  double difference = 0, largest = 0;
  for (std::size_t t = 0; t < in_double.size(); ++t) {
    for (std::size_t d = 0; d < in_double[t].size(); ++d) {
      difference = std::max(difference, std::abs(in_float[t][d] - in_double[t][d]));
      largest = std::max(largest, std::abs(in_double[t][d]));
    }
  }
  return {0, std::max(8 * difference, 4 * 2 * kUnitRoundoff * largest)};
}

// A decoder with random weights.

// Widths that differ from one another: D = 20, N * H = 24. Windows bite in the odd layers.
inline gemma::DecoderShape small_gemma1(Index kv_heads = 1) {
  gemma::DecoderShape shape;
  shape.vocabulary = 50;
  shape.width = 20;
  shape.mlp_width = 28;
  shape.layers = 3;
  shape.heads = 4;
  shape.kv_heads = kv_heads;
  shape.head_size = 6;
  shape.embedding_scale = std::sqrt(20.0f);
  shape.norm_eps = 0.01f;  // large enough to be seen
  shape.norm_offset = 1;
  shape.query_scale = 0.40824829f;  // 1 / sqrt(6)
  shape.window = {kNoWindow, kNoWindow, kNoWindow};
  return shape;
}

inline gemma::DecoderShape small_gemma2(Index kv_heads = 2) {
  gemma::DecoderShape shape = small_gemma1(kv_heads);
  shape.norms = gemma::Norms::pre_and_post;
  shape.query_scale = 0.3f;  // not 1 / sqrt(H), as in the largest Gemma 2
  shape.attention_soft_cap = 2;
  shape.final_soft_cap = 3;
  shape.window = {4, kNoWindow, 3};
  return shape;
}

template <class Weight>
class RandomDecoder {
 public:
  using W = HostWeights<Weight>;

  gemma::DecoderShape shape;
  gemma::DecoderWeights<W> weights;

  explicit RandomDecoder(const gemma::DecoderShape& of) : shape(of) {
    const Index D = shape.width, F = shape.mlp_width, NH = shape.heads * shape.head_size,
                KH = shape.kv_heads * shape.head_size;
    weights.embedding = matrix(shape.vocabulary, D);
    weights.head = {weights.embedding};
    for (Index i = 0; i < shape.layers; ++i) {
      gemma::DecoderBlockWeights<W> block;
      block.pre_attention_norm = vector(D);
      block.self_attention = {linear(NH, D), linear(KH, D), linear(KH, D), linear(D, NH)};
      block.pre_mlp_norm = vector(D);
      block.mlp = {linear(F, D), linear(F, D), linear(D, F)};
      if (shape.norms == gemma::Norms::pre_and_post) {  // else there are none to look at
        block.post_attention_norm = vector(D);
        block.post_mlp_norm = vector(D);
      }
      weights.blocks.push_back(block);
    }
    weights.final_norm = vector(D);
  }

 private:
  // Entries that keep a row of unit numbers a row of unit numbers.
  View<const Weight, 2> matrix(Index O, Index I) {
    auto& m = matrices_.emplace_back(random<Weight, 2>({O, I}, ++seed_));
    const float unit = std::sqrt(3.0f / static_cast<float>(I));
    for (Index i = 0; i < O * I; ++i) {
      m.view().data()[i] = narrow<Weight>(widen(m.view().data()[i]) * unit);
    }
    return m.view();
  }

  Linear<W> linear(Index O, Index I) { return {matrix(O, I)}; }

  View<const Weight, 1> vector(Index D) {
    return vectors_.emplace_back(random<Weight, 1>({D}, ++seed_)).view();
  }

  unsigned seed_ = 0;
  std::deque<Buffer<Weight, 2>> matrices_;  // a deque, so that views stay good as it grows
  std::deque<Buffer<Weight, 1>> vectors_;
};

// Scratch and cache in which everything that nobody has written yet is NaN. `spare` more rows than
// needed: a step must not care.
struct Workspace {
  gemma::DecoderScratch<Reference> scratch;
  KvCache<Reference> cache;
  SequenceId sequence;

  Workspace(const gemma::DecoderShape& shape, Index T, Index spare = 2)
      : scratch(shape, T + spare),
        cache(shape.layers, shape.kv_heads, shape.head_size),
        sequence(open(T + spare)) {
    for (auto* buffer : {&scratch.x, &scratch.normed, &scratch.branch, &scratch.q, &scratch.k,
                         &scratch.v, &scratch.mixed, &scratch.hidden, &scratch.logits}) {
      fill(buffer->view());
    }
  }

  // Another sequence, of which nobody has written a row yet either.
  SequenceId open(Index capacity) {
    const SequenceId id = cache.open(capacity);
    for (Index i = 0; i < cache.layers(); ++i) {
      fill(cache.keys(id, i));
      fill(cache.values(id, i));
    }
    return id;
  }

  // Tokens of the first sequence.
  gemma::Segment tokens(Index first, Index T, Index prefix) const {
    return {sequence, first, T, prefix};
  }

 private:
  template <int Rank>
  static void fill(View<float, Rank> view) {
    std::fill_n(view.data(), view.count(), NAN);
  }
};

}  // namespace paligemma::test
