#include "cuda/gemma/prefix_lm_mask.h"

#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;

class CudaPrefixLmMask : public CudaTest {
 protected:
  static void expect_ranges(View<const KeyRange, 1> actual, View<const KeyRange, 1> expected) {
    for (Index t = 0; t < expected.size(0); ++t) {
      EXPECT_EQ(actual(t).begin, expected(t).begin) << "query " << t;
      EXPECT_EQ(actual(t).end, expected(t).end) << "query " << t;
    }
  }

  // Both ways to say which query is the first.
  static void expect_matches_reference(Index T, Index first, Index prefix, Index window) {
    SCOPED_TRACE("T = " + std::to_string(T) + ", first = " + std::to_string(first));
    Buffer<KeyRange, 1> expected({T});
    prefix_lm_mask(reference, first, prefix, window, expected.view());
    const cuda::Stream stream;
    const auto first_there = to_device(stream, View<const Index, 1>(&first, {1}));
    cuda::DeviceBuffer<KeyRange, 1> visible({T}), again({T});
    prefix_lm_mask(stream, first, prefix, window, visible.view());
    prefix_lm_mask(stream, first_there.view(), prefix, window, again.view());
    expect_ranges(to_host(stream, visible.view()).view(), expected.view());
    expect_ranges(to_host(stream, again.view()).view(), expected.view());
  }
};

TEST_F(CudaPrefixLmMask, MatchesReference) {
  for (Index T : {1, 7, 128, 255, 257}) expect_matches_reference(T, 0, 6, kNoWindow);
}

TEST_F(CudaPrefixLmMask, BeginsAtAnyQuery) {
  for (Index first : {0, 5, 6, 7, 300}) expect_matches_reference(3, first, 6, kNoWindow);
}

TEST_F(CudaPrefixLmMask, LooksBackThroughAWindow) {
  for (Index window : {1, 4, 100}) {
    for (Index first : {0, 90}) expect_matches_reference(40, first, 6, window);
  }
}

TEST_F(CudaPrefixLmMask, WritesNoMoreThanItsRows) {
  const cuda::Stream stream;
  cuda::DeviceBuffer<KeyRange, 1> whole({9});
  prefix_lm_mask(stream, 0, 0, kNoWindow, whole.view());
  prefix_lm_mask(stream, 20, 0, kNoWindow, whole.view().rows(3, 8));
  const auto visible = to_host(stream, whole.view());
  for (Index t = 0; t < 9; ++t) {
    EXPECT_EQ(visible.view()(t).end, 3 <= t && t < 8 ? 20 + (t - 3) + 1 : t + 1);
  }
}

TEST_F(CudaPrefixLmMask, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<Index, 1> first({1}), firsts({2});
  cuda::DeviceBuffer<KeyRange, 1> visible({4}), none({0});
  EXPECT_THROW(prefix_lm_mask(stream, -1, 2, kNoWindow, visible.view()), ContractError);
  EXPECT_THROW(prefix_lm_mask(stream, 0, 2, 0, visible.view()), ContractError);
  EXPECT_THROW(prefix_lm_mask(stream, first.view(), 2, 0, visible.view()), ContractError);
  EXPECT_THROW(prefix_lm_mask(stream, firsts.view(), 2, kNoWindow, visible.view()), ContractError);
  const DeviceView<KeyRange, 1> strided(visible.view().data(), {2}, {2});
  EXPECT_THROW(prefix_lm_mask(stream, 0, 2, kNoWindow, strided), ContractError);
  EXPECT_NO_THROW(prefix_lm_mask(stream, 0, 2, kNoWindow, none.view()));
}

}  // namespace
}  // namespace paligemma
