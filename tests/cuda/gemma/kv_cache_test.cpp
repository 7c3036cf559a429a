#include "cuda/gemma/kv_cache.h"

#include <limits>

#include "gemma/kv_cache.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::KvCacheAppendKernel;

constexpr KvCacheAppendKernel kKernels[] = {KvCacheAppendKernel::best,
                                            KvCacheAppendKernel::thread_per_number,
                                            KvCacheAppendKernel::thread_per_pack};

// One number, as a recorded graph reads it.
cuda::DeviceBuffer<Index, 1> on_device(const cuda::Stream& stream, Index number) {
  return to_device(stream, View<const Index, 1>(&number, {1}));
}

class CudaKvCache : public CudaTest {
 protected:
  // Both ways to say where, and every other row stays what it was.
  static void expect_matches_reference(Index T, Index position, Index K, Index H,
                                       KvCacheAppendKernel kernel) {
    const Index capacity = position + T + 2;
    const auto rows = random<float, 3>({T, K, H}, 1);
    const auto before = random<float, 3>({capacity, K, H}, 2);
    auto expected = random<float, 3>({capacity, K, H}, 2);
    kv_cache_append(reference, rows.view(), position, expected.view());

    const cuda::Stream stream;
    const auto rows_there = to_device(stream, rows.view());
    const auto position_there = on_device(stream, position);
    auto cache = to_device(stream, before.view()), again = to_device(stream, before.view());
    kv_cache_append(stream, rows_there.view(), position, cache.view(), kernel);
    kv_cache_append(stream, rows_there.view(), position_there.view(), again.view(), kernel);
    for (auto* written : {&cache, &again}) {
      const auto y = to_host(stream, written->view());
      EXPECT_TRUE(close(y.view(), expected.view(), kExact))
          << "T = " << T << ", position = " << position << ", K = " << K << ", H = " << H;
    }
  }
};

// 256 is Gemma's head size, 12 the golden checkpoint's; 4 heads of 256 are Gemma 2 2B's.
TEST_F(CudaKvCache, ThreadPerNumberMatchesReference) {
  for (Index H : {1, 7, 12, 255, 256, 257}) {
    expect_matches_reference(3, 5, 1, H, KvCacheAppendKernel::thread_per_number);
  }
  for (Index T : {1, 7, 255, 257}) {
    expect_matches_reference(T, 0, 2, 3, KvCacheAppendKernel::thread_per_number);
  }
  expect_matches_reference(1, 40, 4, 256, KvCacheAppendKernel::thread_per_number);
}

TEST_F(CudaKvCache, ThreadPerPackMatchesReference) {
  for (Index H : {4, 12, 252, 256, 260}) {
    expect_matches_reference(3, 5, 1, H, KvCacheAppendKernel::thread_per_pack);
  }
  for (Index T : {1, 7, 255, 257}) {
    expect_matches_reference(T, 0, 2, 2, KvCacheAppendKernel::thread_per_pack);
  }
  expect_matches_reference(1, 40, 4, 256, KvCacheAppendKernel::thread_per_pack);
}

TEST_F(CudaKvCache, BestMatchesReference) {
  for (Index H : {1, 7, 12, 255, 256, 257}) {
    expect_matches_reference(3, 5, 1, H, KvCacheAppendKernel::best);
  }
}

// Keys inside rows of queries, keys and values; the second start is at no multiple of 16 bytes.
TEST_F(CudaKvCache, TakesRowsThatStandApart) {
  const auto wide = random<float, 2>({3, 40}, 1);
  const cuda::Stream stream;
  const auto wide_there = to_device(stream, wide.view());
  for (Index first : {16, 17}) {
    for (KvCacheAppendKernel kernel : kKernels) {
      if (kernel == KvCacheAppendKernel::thread_per_pack && first == 17) continue;
      Buffer<float, 3> expected({4, 2, 8});
      kv_cache_append(reference, {wide.view().data() + first, {3, 2, 8}, {40, 8, 1}}, 1,
                      expected.view());
      auto cache = to_device(stream, Buffer<float, 3>({4, 2, 8}).view());
      kv_cache_append(stream, {wide_there.view().data() + first, {3, 2, 8}, {40, 8, 1}}, 1,
                      cache.view(), kernel);
      const auto y = to_host(stream, cache.view());
      EXPECT_TRUE(close(y.view(), expected.view(), kExact)) << "first = " << first;
    }
  }
}

// As a decoder does it, step by step, behind the length that the layers share.
TEST_F(CudaKvCache, FillsACacheOnTheDevice) {
  const auto rows = random<float, 3>({6, 1, 8}, 1);
  KvCache<Reference> expected(2, 1, 8);
  const cuda::Stream stream;
  KvCache<cuda::Stream> cache(2, 1, 8);
  const SequenceId here = expected.open(6), there = cache.open(6);
  const auto rows_there = to_device(stream, rows.view());
  for (Index T : {4, 1, 1}) {
    const Index from = cache.length(there);
    expected.extend(reference, here, T);
    cache.extend(stream, there, T);
    kv_cache_append(reference, rows.view().rows(from, from + T), from, expected.values(here, 1));
    kv_cache_append(stream, rows_there.view().rows(from, from + T), from, cache.values(there, 1));
  }
  const auto y = to_host(stream, cache.values(there, 1));
  EXPECT_TRUE(close(y.view(), expected.values(here, 1), kExact));
}

// A fork that is extended has the rows so far in memory of its own.
TEST_F(CudaKvCache, ForksOnTheDevice) {
  const auto rows = random<float, 3>({4, 1, 8}, 1), more = random<float, 3>({1, 1, 8}, 2);
  const cuda::Stream stream;
  const auto rows_there = to_device(stream, rows.view());
  const auto more_there = to_device(stream, more.view());
  KvCache<cuda::Stream> cache(1, 1, 8);
  const SequenceId a = cache.open(6);
  cache.extend(stream, a, 4);
  kv_cache_append(stream, rows_there.view(), 0, cache.keys(a, 0));
  kv_cache_append(stream, rows_there.view(), 0, cache.values(a, 0));
  const SequenceId b = cache.fork(a);
  cache.extend(stream, b, 1);
  kv_cache_append(stream, more_there.view(), 4, cache.keys(b, 0));
  for (const auto& view : {cache.keys(a, 0), cache.keys(b, 0), cache.values(b, 0)}) {
    EXPECT_TRUE(close(to_host(stream, view.rows(0, 4)).view(), rows.view(), kExact));
  }
  EXPECT_NE(cache.keys(a, 0).data(), cache.keys(b, 0).data());
}

// The host cannot look at the position, so nothing can throw; no other row may suffer.
TEST_F(CudaKvCache, WritesNothingWhereTheRowsDoNotFit) {
  constexpr Index kLargest = std::numeric_limits<Index>::max();
  const auto rows = random<float, 3>({3, 1, 8}, 1), before = random<float, 3>({5, 1, 8}, 2);
  const cuda::Stream stream;
  const auto rows_there = to_device(stream, rows.view());
  const auto whole = to_device(stream, before.view());
  for (Index position : {Index{-1}, Index{3}, Index{5}, kLargest, -kLargest - 1}) {
    const auto position_there = on_device(stream, position);
    for (KvCacheAppendKernel kernel : kKernels) {
      auto cache = to_device(stream, before.view());
      kv_cache_append(stream, rows_there.view(), position_there.view(), cache.view(), kernel);
      const auto y = to_host(stream, cache.view());
      EXPECT_TRUE(close(y.view(), before.view(), kExact)) << "position = " << position;
    }
  }
}

TEST_F(CudaKvCache, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 3> rows({3, 2, 7}), many({6, 2, 7});
  const cuda::DeviceBuffer<Index, 1> position({1}), positions({2});
  cuda::DeviceBuffer<float, 3> cache({5, 2, 7}), other_heads({5, 1, 7}), narrow({5, 2, 6});
  const auto append = [&](auto from, auto where, auto to) {
    return kv_cache_append(stream, from, where, to);
  };
  EXPECT_THROW(append(rows.view(), 0, other_heads.view()), ContractError);
  EXPECT_THROW(append(rows.view(), 0, narrow.view()), ContractError);
  EXPECT_THROW(append(rows.view(), 3, cache.view()), ContractError);
  EXPECT_THROW(append(rows.view(), -1, cache.view()), ContractError);
  EXPECT_THROW(append(many.view(), position.view(), cache.view()), ContractError);
  EXPECT_THROW(append(rows.view(), positions.view(), cache.view()), ContractError);
  const DeviceView<const float, 3> heads_apart(rows.view().data(), {3, 2, 3}, {14, 7, 1});
  cuda::DeviceBuffer<float, 3> for_heads_apart({5, 2, 3});
  EXPECT_THROW(append(heads_apart, 0, for_heads_apart.view()), ContractError);
  const DeviceView<float, 3> strided(cache.view().data(), {3, 1, 7}, {14, 7, 1});
  EXPECT_THROW(append(rows.view().rows(0, 1), 0, strided), ContractError);
  EXPECT_THROW(
      kv_cache_append(stream, rows.view(), 0, cache.view(), KvCacheAppendKernel::thread_per_pack),
      ContractError);
}

TEST_F(CudaKvCache, AppendsNoRows) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 3> rows({0, 2, 7});
  cuda::DeviceBuffer<float, 3> cache({5, 2, 7});
  EXPECT_NO_THROW(kv_cache_append(stream, rows.view(), 5, cache.view()));
}

}  // namespace
}  // namespace paligemma
