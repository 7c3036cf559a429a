// Three sequences through a decoder, in steps that hold several of them: prefixes of different lengths at
// once, a prefix while others decode, and tokens of each.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "gemma/decoder.h"
#include "tests/support/gemma.h"

namespace paligemma::test {

inline constexpr Index kTokensOfEach = 9;
inline constexpr Index kPrefixes[] = {5, 1, 7};

using ThreeOfRows = std::array<Buffer<float, 2>, 3>;  // [kTokensOfEach, D] each

inline ThreeOfRows three_sequences(Index D) {
  return {random<float, 2>({kTokensOfEach, D}, 1), random<float, 2>({kTokensOfEach, D}, 2),
          random<float, 2>({kTokensOfEach, D}, 3)};
}

template <OnHost On>
Buffer<float, 2> to_host(const On& on, View<const float, 2> from) {
  Buffer<float, 2> to(from.shape());
  copy(on, from, to.view());
  return to;
}

// Their rows behind the final norm.
template <class On, class W>
ThreeOfRows decoded_together(const On& on, const gemma::DecoderWeights<W>& weights,
                             const gemma::DecoderShape& shape, const ThreeOfRows& x) {
  gemma::DecoderScratch<On> s(shape, 2 * kTokensOfEach);
  KvCache<On> cache(shape.layers, shape.kv_heads, shape.head_size);
  const SequenceId ids[] = {cache.open(kTokensOfEach), cache.open(kTokensOfEach),
                            cache.open(kTokensOfEach)};
  ThreeOfRows y = three_sequences(shape.width);
  const auto step = [&](std::vector<std::pair<int, Index>> tokens) {  // of which, and how many
    std::vector<gemma::Segment> segments;
    Index row = 0;
    for (const auto& [i, T] : tokens) {
      const Index first = cache.length(ids[i]);
      copy_from_host(on, View<const float, 2>(x[i].view().rows(first, first + T)),
                     s.x.view().rows(row, row + T));
      segments.push_back({ids[i], first, T, kPrefixes[i]});
      row += T;
    }
    gemma::decoder(on, weights, shape, gemma::Step(segments), s, cache, NoTap());
    const auto rows = to_host(on, std::as_const(s.normed).view().rows(0, row));
    row = 0;
    for (const auto& [i, T] : tokens) {
      const Index end = cache.length(ids[i]);
      copy(reference, rows.view().rows(row, row + T), y[i].view().rows(end - T, end));
      row += T;
    }
  };
  step({{0, 5}, {1, 1}});
  step({{1, 1}, {2, 7}, {0, 2}});
  step({{0, 1}, {1, 1}, {2, 1}});
  step({{2, 1}, {0, 1}, {1, 6}});
  return y;
}

// By an executor that rounds nothing.
template <class On, class W, class Weight>
void expect_sequences_as_defined(const On& on, const gemma::DecoderWeights<W>& weights,
                                 const RandomDecoder<Weight>& decoder) {
  const gemma::DecoderShape& shape = decoder.shape;
  const auto x = three_sequences(shape.width);
  const auto y = decoded_together(on, weights, shape, x);
  for (int i = 0; i < 3; ++i) {
    const auto again = [&]<class Real>(Real) {
      return decoder_again(decoder.weights, shape, kPrefixes[i], table_of<Real>(x[i].view()));
    };
    const auto expected = again(0.0);
    EXPECT_TRUE(
        close(y[i].view(), floats_of(expected).view(), twice(tolerance_of(again(0.0f), expected))))
        << "sequence " << i;
  }
}

}  // namespace paligemma::test
