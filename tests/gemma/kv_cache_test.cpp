#include "gemma/kv_cache.h"

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

// docs/gemma/kv_cache.md, "By hand".
TEST(KvCache, WorkedExample) {
  KvCache<Reference> cache(1, 4, 1, 2);
  const auto prefix = one_head({{1, 2}, {3, 4}}), token = one_head({{5, 6}});

  kv_cache_append(reference, prefix.view(), cache.length(), cache.keys(0));
  cache.advance(2);
  EXPECT_EQ(cache.length(), 2);
  EXPECT_TRUE(close(cache.keys(0).rows(0, 2), one_head({{1, 2}, {3, 4}}).view(), kExact));

  kv_cache_append(reference, token.view(), cache.length(), cache.keys(0));
  cache.advance(1);
  EXPECT_EQ(cache.length(), 3);
  EXPECT_TRUE(close(cache.keys(0).rows(0, 3), one_head({{1, 2}, {3, 4}, {5, 6}}).view(), kExact));
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

TEST(KvCache, LayersKeysAndValuesAreApart) {
  KvCache<Reference> cache(3, 5, 2, 4);
  const auto rows = random<float, 3>({2, 2, 4}, 1);
  const Buffer<float, 3> zeros({5, 2, 4});
  for (Index layer : {0, 1, 2}) {
    for (const auto& view : {cache.keys(layer), cache.values(layer)}) {
      std::fill_n(view.data(), view.count(), 0.0f);
    }
  }
  kv_cache_append(reference, rows.view(), 0, cache.values(1));
  kv_cache_append(reference, rows.view(), 0, cache.keys(2));
  for (Index layer : {0, 1, 2}) {
    EXPECT_EQ(static_cast<bool>(close(cache.keys(layer), zeros.view(), kExact)), layer != 2);
    EXPECT_EQ(static_cast<bool>(close(cache.values(layer), zeros.view(), kExact)), layer != 1);
  }
}

// Appending is one thing per layer, counting one thing per step.
TEST(KvCache, AllLayersShareTheLength) {
  KvCache<Reference> cache(2, 8, 1, 2);
  const auto rows = random<float, 3>({3, 1, 2}, 1);
  for (Index layer : {0, 1}) {
    kv_cache_append(reference, rows.view(), cache.length(), cache.keys(layer));
    EXPECT_EQ(cache.length(), 0);
  }
  cache.advance(3);
  EXPECT_EQ(cache.length(), 3);
  EXPECT_TRUE(close(cache.keys(0).rows(0, 3), cache.keys(1).rows(0, 3), kExact));
}

TEST(KvCache, HoldsExactlyItsCapacity) {
  KvCache<Reference> cache(1, 8, 1, 2);
  EXPECT_EQ(cache.capacity(), 8);
  cache.advance(6);
  cache.advance(2);
  EXPECT_EQ(cache.length(), 8);
  EXPECT_THROW(cache.advance(1), ContractError);
  EXPECT_EQ(cache.length(), 8);
}

TEST(KvCache, ClearForgetsAndKeepsItsMemory) {
  KvCache<Reference> cache(1, 8, 1, 2);
  const float* data = cache.keys(0).data();
  cache.advance(8);
  cache.clear();
  EXPECT_EQ(cache.length(), 0);
  EXPECT_EQ(cache.capacity(), 8);
  EXPECT_EQ(cache.keys(0).data(), data);
  cache.advance(8);
}

// A layer of Gemma from q, k, v on: turn, append, attend. Rows first .. first + T - 1 of `tokens`.
struct Tokens {
  Buffer<float, 3> q, k, v;
};

Tokens tokens(Index T, Index N, Index K, Index H) {
  return {random<float, 3>({T, N, H}, 1), random<float, 3>({T, K, H}, 2),
          random<float, 3>({T, K, H}, 3)};
}

void step(Tokens& x, Index first, Index position, Index T, Index prefix, KvCache<Reference>& cache,
          View<float, 3> out) {
  const auto q = x.q.view().rows(first, first + T), k = x.k.view().rows(first, first + T);
  rope(reference, position, 10000, q);
  rope(reference, position, 10000, k);
  kv_cache_append(reference, k, cache.length(), cache.keys(0));
  kv_cache_append(reference, x.v.view().rows(first, first + T), cache.length(), cache.values(0));
  cache.advance(T);
  Buffer<KeyRange, 1> visible({T});
  prefix_lm_mask(reference, first, prefix, kNoWindow, visible.view());
  scaled_dot_product_attention(reference, q, cache.keys(0).rows(0, cache.length()),
                               cache.values(0).rows(0, cache.length()),
                               View<const KeyRange, 1>(visible.view()), {0.25f}, out);
}

// Attention to all rows, the prefix at once and then token by token.
// `late` is what a decoded token's position lacks: 0 if it is counted well.
Buffer<float, 3> prefill_and_decode(Index T, Index prefix, Index late) {
  auto x = tokens(T, 4, 2, 16);
  KvCache<Reference> cache(1, T, 2, 16);
  Buffer<float, 3> out({T, 4, 16});
  step(x, 0, 0, prefix, prefix, cache, out.view().rows(0, prefix));
  for (Index t = prefix; t < T; ++t) {
    step(x, t, t - late, 1, prefix, cache, out.view().rows(t, t + 1));
  }
  return out;
}

Buffer<float, 3> all_at_once(Index T, Index prefix) {
  auto x = tokens(T, 4, 2, 16);
  KvCache<Reference> cache(1, T, 2, 16);
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
