#include "gemma/kv_cache.h"

#include <algorithm>
#include <functional>

#include "gemma/prefix_lm_mask.h"
#include "gemma/rope.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

// Rows of one head: [T, 1, H].
Buffer<float, 3> one_head(std::initializer_list<std::initializer_list<double>> rows) {
  const auto flat = rows_of(rows);
  Buffer<float, 3> x({flat.view().size(0), 1, flat.view().size(1)});
  std::copy_n(flat.view().data(), flat.view().count(), x.view().data());
  return x;
}

// A step of one layer. Values are the keys, but for their signs.
void append(KvCache<Reference>& cache, SequenceId id, View<const float, 3> rows) {
  const Index position = cache.length(id);
  cache.extend(reference, id, rows.size(0));
  kv_cache_append(reference, rows, position, cache.keys(id, 0));
  Buffer<float, 3> values(rows.shape());
  std::transform(rows.data(), rows.data() + rows.count(), values.view().data(), std::negate());
  kv_cache_append(reference, values.view(), position, cache.values(id, 0));
}

View<const float, 3> filled(KvCache<Reference>& cache, SequenceId id) {
  const auto keys = cache.keys(id, 0).rows(0, cache.length(id));
  const auto values = cache.values(id, 0).rows(0, cache.length(id));
  EXPECT_TRUE(std::equal(keys.data(), keys.data() + keys.count(), values.data(),
                         [](float key, float value) { return key == -value; }));
  return keys;
}

// docs/gemma/kv_cache.md, "By hand".
TEST(KvCache, WorkedExample) {
  KvCache<Reference> cache(1, 1, 2);
  const SequenceId a = cache.open(4);
  append(cache, a, one_head({{1, 2}, {3, 4}}).view());
  EXPECT_EQ(cache.length(a), 2);
  EXPECT_TRUE(close(filled(cache, a), one_head({{1, 2}, {3, 4}}).view(), kExact));

  const SequenceId b = cache.fork(a);
  append(cache, a, one_head({{5, 6}}).view());
  append(cache, b, one_head({{7, 8}}).view());
  EXPECT_TRUE(close(filled(cache, a), one_head({{1, 2}, {3, 4}, {5, 6}}).view(), kExact));
  EXPECT_TRUE(close(filled(cache, b), one_head({{1, 2}, {3, 4}, {7, 8}}).view(), kExact));

  cache.truncate(a, 1);
  append(cache, a, one_head({{9, 9}}).view());
  EXPECT_TRUE(close(filled(cache, a), one_head({{1, 2}, {9, 9}}).view(), kExact));
  EXPECT_TRUE(close(filled(cache, b), one_head({{1, 2}, {3, 4}, {7, 8}}).view(), kExact));
}

TEST(KvCache, AppendTouchesNoOtherRow) {
  for (Index T : {1, 7, 255, 257}) {
    for (Index position : {0, 1, 40}) {
      const auto rows = random<float, 3>({T, 4, 6}, 1);
      auto cache = random<float, 3>({T + 50, 4, 6}, 2);
      const auto before = random<float, 3>({T + 50, 4, 6}, 2);
      kv_cache_append(reference, rows.view(), position, cache.view());
      for (Index s = 0; s < T + 50; ++s) {
        const bool is_new = position <= s && s < position + T;
        const auto expected = is_new ? rows.view().rows(s - position, s - position + 1)
                                     : before.view().rows(s, s + 1);
        EXPECT_TRUE(close(cache.view().rows(s, s + 1), expected, kExact)) << "row " << s;
      }
    }
  }
}

TEST(KvCache, SequencesLayersKeysAndValuesAreApart) {
  KvCache<Reference> cache(3, 2, 4);
  const SequenceId ids[] = {cache.open(5), cache.open(7)};
  const auto every = [&](const auto& visit) {
    for (const SequenceId id : ids) {
      for (Index layer : {0, 1, 2}) {
        visit(cache.keys(id, layer), id == ids[1] && layer == 2);
        visit(cache.values(id, layer), id == ids[0] && layer == 1);
      }
    }
  };
  every([](View<float, 3> rows, bool) { std::fill_n(rows.data(), rows.count(), 0.0f); });
  const auto rows = random<float, 3>({2, 2, 4}, 1);
  kv_cache_append(reference, rows.view(), 0, cache.values(ids[0], 1));
  kv_cache_append(reference, rows.view(), 0, cache.keys(ids[1], 2));
  every([&](View<float, 3> there, bool written) {
    EXPECT_EQ(bool(close(there.rows(0, 2), rows.view(), kExact)), written);
    EXPECT_EQ(there(2, 0, 0), 0);
  });
}

TEST(KvCache, EachSequenceHasItsLength) {
  KvCache<Reference> cache(2, 1, 2);
  const SequenceId a = cache.open(8), b = cache.open(3);
  EXPECT_EQ(cache.capacity(a), 8);
  EXPECT_EQ(cache.capacity(b), 3);
  cache.extend(reference, a, 6);
  cache.extend(reference, b, 3);
  cache.extend(reference, a, 2);
  EXPECT_EQ(cache.length(a), 8);
  EXPECT_EQ(cache.length(b), 3);
  for (const SequenceId id : {a, b}) {
    EXPECT_THROW(cache.extend(reference, id, 1), ContractError);
    EXPECT_EQ(cache.length(id), cache.capacity(id));
  }
}

TEST(KvCache, TruncateForgetsAndKeepsItsMemory) {
  KvCache<Reference> cache(1, 1, 2);
  const SequenceId id = cache.open(8);
  const float* const data = cache.keys(id, 0).data();
  cache.extend(reference, id, 8);
  cache.truncate(id, 3);
  EXPECT_EQ(cache.length(id), 3);
  EXPECT_THROW(cache.truncate(id, 4), ContractError);
  EXPECT_THROW(cache.truncate(id, -1), ContractError);
  cache.truncate(id, 0);
  cache.extend(reference, id, 8);
  EXPECT_EQ(cache.keys(id, 0).data(), data);
}

// Rows are shared as long as nobody adds any. Whoever is the first to do so pays for the copy.
TEST(KvCache, AForkSharesRowsUntilOneOfTheTwoAppends) {
  KvCache<Reference> cache(1, 1, 2);
  const SequenceId a = cache.open(4);
  append(cache, a, one_head({{1, 2}, {3, 4}}).view());
  const float* const data = cache.keys(a, 0).data();
  const SequenceId b = cache.fork(a), c = cache.fork(b);
  for (const SequenceId id : {b, c}) {
    EXPECT_EQ(cache.length(id), 2);
    EXPECT_EQ(cache.capacity(id), 4);
    EXPECT_EQ(cache.keys(id, 0).data(), data);
  }
  append(cache, a, one_head({{5, 6}}).view());
  EXPECT_NE(cache.keys(a, 0).data(), data);
  EXPECT_EQ(cache.keys(b, 0).data(), data);
  cache.close(b);
  EXPECT_NE(cache.keys(cache.open(4), 0).data(), data);
  append(cache, c, one_head({{7, 8}}).view());  // now the only one
  EXPECT_EQ(cache.keys(c, 0).data(), data);
  EXPECT_TRUE(close(filled(cache, a), one_head({{1, 2}, {3, 4}, {5, 6}}).view(), kExact));
  EXPECT_TRUE(close(filled(cache, c), one_head({{1, 2}, {3, 4}, {7, 8}}).view(), kExact));
}

// What is written over was forgotten by one, and not by the other.
TEST(KvCache, CuttingOneBackLeavesTheOtherAlone) {
  KvCache<Reference> cache(1, 1, 2);
  const SequenceId a = cache.open(4);
  append(cache, a, one_head({{1, 2}, {3, 4}}).view());
  const SequenceId b = cache.fork(a);
  cache.truncate(b, 1);
  append(cache, b, one_head({{9, 9}}).view());
  EXPECT_TRUE(close(filled(cache, a), one_head({{1, 2}, {3, 4}}).view(), kExact));
  EXPECT_TRUE(close(filled(cache, b), one_head({{1, 2}, {9, 9}}).view(), kExact));
}

TEST(KvCache, AClosedSequenceLeavesItsMemoryToTheNext) {
  KvCache<Reference> cache(1, 1, 2);
  const SequenceId a = cache.open(4), b = cache.open(6);
  const float* const data = cache.keys(b, 0).data();
  cache.extend(reference, b, 6);
  cache.close(a);
  cache.close(b);
  EXPECT_THROW(cache.length(b), ContractError);
  EXPECT_THROW(cache.close(b), ContractError);
  const SequenceId c = cache.open(5);  // a's has too little room
  EXPECT_EQ(cache.keys(c, 0).data(), data);
  EXPECT_EQ(cache.length(c), 0);
  const SequenceId d = cache.open(7);
  EXPECT_EQ(cache.capacity(d), 7);
  EXPECT_THROW(cache.keys(static_cast<SequenceId>(7), 0), ContractError);
}

// A layer of Gemma from q, k, v on: turn, append, attend. Rows first .. first + T - 1 of `tokens`.
struct Tokens {
  Buffer<float, 3> q, k, v;
};

Tokens tokens(Index T, Index N, Index K, Index H) {
  return {random<float, 3>({T, N, H}, 1), random<float, 3>({T, K, H}, 2),
          random<float, 3>({T, K, H}, 3)};
}

// The cache's first sequence.
constexpr SequenceId kFirst{0};

void step(Tokens& x, Index first, Index position, Index T, Index prefix, KvCache<Reference>& cache,
          View<float, 3> out) {
  const auto q = x.q.view().rows(first, first + T), k = x.k.view().rows(first, first + T);
  const auto keys = cache.keys(kFirst, 0), values = cache.values(kFirst, 0);
  rope(reference, position, 10000, q);
  rope(reference, position, 10000, k);
  const Index length = cache.length(kFirst), S = length + T;
  cache.extend(reference, kFirst, T);
  kv_cache_append(reference, k, length, keys);
  kv_cache_append(reference, x.v.view().rows(first, first + T), length, values);
  Buffer<KeyRange, 1> visible({T});
  prefix_lm_mask(reference, first, prefix, kNoWindow, visible.view());
  scaled_dot_product_attention(reference, q, keys.rows(0, S), values.rows(0, S),
                               View<const KeyRange, 1>(visible.view()), {0.25f}, out);
}

// Attention to all rows, the prefix at once and then token by token.
// `late` is what a decoded token's position lacks: 0 if it is counted well.
Buffer<float, 3> prefill_and_decode(Index T, Index prefix, Index late) {
  auto x = tokens(T, 4, 2, 16);
  KvCache<Reference> cache(1, 2, 16);
  cache.open(T);
  Buffer<float, 3> out({T, 4, 16});
  step(x, 0, 0, prefix, prefix, cache, out.view().rows(0, prefix));
  for (Index t = prefix; t < T; ++t) {
    step(x, t, t - late, 1, prefix, cache, out.view().rows(t, t + 1));
  }
  return out;
}

Buffer<float, 3> all_at_once(Index T, Index prefix) {
  auto x = tokens(T, 4, 2, 16);
  KvCache<Reference> cache(1, 2, 16);
  cache.open(T);
  Buffer<float, 3> out({T, 4, 16});
  step(x, 0, 0, T, prefix, cache, out.view());
  return out;
}

// Why a cache is allowed at all.
TEST(KvCache, TokenByTokenGivesTheSameBitsAsAllAtOnce) {
  EXPECT_TRUE(close(prefill_and_decode(12, 7, 0).view(), all_at_once(12, 7).view(), kExact));
}

// transformers#31425: a decoded token took the position of the last word of the prompt.
TEST(KvCache, ReusingTheLastPositionChangesTheAnswer) {
  const auto right = all_at_once(12, 7), wrong = prefill_and_decode(12, 7, 1);
  const View<const float, 3> a = right.view(), b = wrong.view();
  EXPECT_TRUE(close(b.rows(0, 7), a.rows(0, 7), kExact));
  EXPECT_FALSE(close(b.rows(7, 8), a.rows(7, 8), float_sum_of(12 * 16, 2)));
}

TEST(KvCache, RejectsRowsThatDoNotFit) {
  Buffer<float, 3> cache({8, 2, 4});
  const auto rows = random<float, 3>({3, 2, 4}, 1);
  EXPECT_NO_THROW(kv_cache_append(reference, rows.view(), 5, cache.view()));
  EXPECT_THROW(kv_cache_append(reference, rows.view(), 6, cache.view()), ContractError);
  EXPECT_THROW(kv_cache_append(reference, rows.view(), -1, cache.view()), ContractError);
  const auto other_heads = random<float, 3>({3, 1, 4}, 1),
             other_size = random<float, 3>({3, 2, 3}, 1);
  EXPECT_THROW(kv_cache_append(reference, other_heads.view(), 0, cache.view()), ContractError);
  EXPECT_THROW(kv_cache_append(reference, other_size.view(), 0, cache.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
