#include "gemma/repeat_kv.h"

#include "gemma/prefix_lm_mask.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

Buffer<float, 3> heads_of(std::initializer_list<std::initializer_list<double>> heads) {
  const auto rows = rows_of(heads);
  Buffer<float, 3> x({1, rows.view().size(0), rows.view().size(1)});
  std::copy_n(rows.view().data(), rows.view().count(), x.view().data());
  return x;
}

// docs/gemma/repeat_kv.md, "By hand".
TEST(RepeatKv, WorkedExample) {
  const auto x = heads_of({{10, 11}, {20, 21}});
  Buffer<float, 3> y({1, 4, 2});
  repeat_kv(reference, x.view(), y.view());
  const auto expected = heads_of({{10, 11}, {10, 11}, {20, 21}, {20, 21}});
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));
}

TEST(RepeatKv, NeighboursShare) {
  std::vector<Index> heads;
  for (Index n = 0; n < 8; ++n) heads.push_back(kv_head_of(n, 8, 4));
  EXPECT_EQ(heads, (std::vector<Index>{0, 0, 1, 1, 2, 2, 3, 3}));
}

// K = 1 is multi-query attention, Gemma 2B's.
TEST(RepeatKv, OneHeadServesAll) {
  for (Index n = 0; n < 8; ++n) EXPECT_EQ(kv_head_of(n, 8, 1), 0);
}

// K = N is multi-head attention, SigLIP's.
TEST(RepeatKv, AsManyHeadsAsQueriesIsACopy) {
  const auto x = random<float, 3>({5, 16, 72}, 1);
  Buffer<float, 3> y({5, 16, 72});
  repeat_kv(reference, x.view(), y.view());
  EXPECT_TRUE(close(y.view(), x.view(), kExact));
}

// Head k of x, N / K times, then head k + 1: the definition by counting, without a division.
TEST(RepeatKv, MatchesTheDefinition) {
  for (const auto& [N, K] : {std::array<Index, 2>{4, 1}, {8, 1}, {8, 4}, {16, 8}, {6, 3}}) {
    for (Index S : {1, 7, 255, 257}) {
      const Index H = 6;
      const auto x = random<float, 3>({S, K, H}, 1);
      Buffer<float, 3> y({S, N, H}), expected({S, N, H});
      repeat_kv(reference, x.view(), y.view());
      float* out = expected.view().data();
      for (Index s = 0; s < S; ++s) {
        for (Index k = 0; k < K; ++k) {
          for (Index copies = 0; copies < N / K; ++copies) {
            out = std::copy_n(&x.view()(s, k, 0), H, out);
          }
        }
      }
      EXPECT_TRUE(close(y.view(), expected.view(), kExact))
          << "N = " << N << ", K = " << K << ", S = " << S;
    }
  }
}

Buffer<float, 3> attend(const Buffer<float, 3>& q, const Buffer<float, 3>& k,
                        const Buffer<float, 3>& v) {
  const Index T = q.view().size(0);
  Buffer<KeyRange, 1> visible({T});
  prefix_lm_mask(reference, 0, T / 2, kNoWindow, visible.view());
  Buffer<float, 3> out(q.view().shape());
  scaled_dot_product_attention(reference, q.view(), k.view(), v.view(),
                               View<const KeyRange, 1>(visible.view()), {0.25f}, out.view());
  return out;
}

Buffer<float, 3> repeated(const Buffer<float, 3>& x, Index N) {
  Buffer<float, 3> y({x.view().size(0), N, x.view().size(2)});
  repeat_kv(reference, x.view(), y.view());
  return y;
}

// What lets the model never copy.
TEST(RepeatKv, AttentionOnSharedHeadsGivesTheSameBits) {
  for (const auto& [N, K] : {std::array<Index, 2>{8, 1}, {8, 4}, {16, 8}}) {
    const Index T = 9, H = 16;
    const auto q = random<float, 3>({T, N, H}, 1);
    const auto k = random<float, 3>({T, K, H}, 2), v = random<float, 3>({T, K, H}, 3);
    const auto shared = attend(q, k, v), copied = attend(q, repeated(k, N), repeated(v, N));
    EXPECT_TRUE(close(shared.view(), copied.view(), kExact)) << "N = " << N << ", K = " << K;
  }
}

// The misreading: 0 1 2 3 0 1 2 3.
TEST(RepeatKv, TilingTheHeadsIsSomethingElse) {
  const Index T = 9, N = 8, K = 4, H = 16;
  const auto q = random<float, 3>({T, N, H}, 1);
  const auto k = random<float, 3>({T, K, H}, 2), v = random<float, 3>({T, K, H}, 3);
  Buffer<float, 3> tiled_k({T, N, H}), tiled_v({T, N, H});
  for (Index t = 0; t < T; ++t) {
    for (Index n = 0; n < N; ++n) {
      std::copy_n(&k.view()(t, n % K, 0), H, &tiled_k.view()(t, n, 0));
      std::copy_n(&v.view()(t, n % K, 0), H, &tiled_v.view()(t, n, 0));
    }
  }
  const auto right = attend(q, k, v), tiled = attend(q, tiled_k, tiled_v);
  EXPECT_FALSE(close(tiled.view(), right.view(), float_sum_of(T * H, 2)));
}

// The first rows of a cache that has room for more.
TEST(RepeatKv, ReadsAWindowOfTheCache) {
  const auto cache = random<float, 3>({20, 2, 6}, 1);
  Buffer<float, 3> y({7, 4, 6}), whole({20, 4, 6});
  repeat_kv(reference, cache.view().rows(3, 10), y.view());
  repeat_kv(reference, cache.view(), whole.view());
  EXPECT_TRUE(close(y.view(), whole.view().rows(3, 10), kExact));
}

TEST(RepeatKv, RejectsWrongShapes) {
  const auto x = random<float, 3>({3, 2, 6}, 1);
  Buffer<float, 3> odd({3, 5, 6}), short_y({2, 4, 6}), narrow_y({3, 4, 5});
  EXPECT_THROW(repeat_kv(reference, x.view(), odd.view()), ContractError);
  EXPECT_THROW(repeat_kv(reference, x.view(), short_y.view()), ContractError);
  EXPECT_THROW(repeat_kv(reference, x.view(), narrow_y.view()), ContractError);
  const Buffer<float, 3> none({3, 0, 6});
  EXPECT_THROW(repeat_kv(reference, none.view(), odd.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
