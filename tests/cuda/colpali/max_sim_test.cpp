#include "cuda/colpali/max_sim.h"

#include "colpali/max_sim.h"
#include "tests/support/cuda_test.h"
#include "tests/support/pages.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::MaxSimKernel;

constexpr MaxSimKernel kKernels[] = {MaxSimKernel::best, MaxSimKernel::thread_per_row,
                                     MaxSimKernel::tiled};

template <class Row>
class CudaMaxSimOf : public CudaTest {
 protected:
  static void expect_matches_reference(Index T, Index W, std::initializer_list<Index> first) {
    const auto q = unit_rows_of<float>(T, W, 1);
    const auto places = places_of(first);
    const auto rows = unit_rows_of<Row>(*std::prev(first.end()), W, 2);
    Buffer<float, 1> expected({places.view().size(0) - 1});
    max_sim(reference, q.view(), rows.view(), places.view(), expected.view());

    const cuda::Stream stream;
    const auto q_there = to_device(stream, q.view());
    const auto rows_there = to_device(stream, rows.view());
    const auto first_there = to_device(stream, places.view());
    for (const MaxSimKernel kernel : kKernels) {
      in_every_order([&] {
        cuda::DeviceBuffer<float, 1> scores_there({expected.view().size(0)});
        max_sim(stream, q_there.view(), rows_there.view(), first_there.view(), scores_there.view(),
                kernel);
        const auto scores = to_host(stream, scores_there.view());
        EXPECT_TRUE(close(scores.view(), expected.view(),
                          twice(float_sum_of(W + T, static_cast<double>(T)))))
            << "T = " << T << ", W = " << W << ", kernel " << static_cast<int>(kernel);
      });
    }
  }
};

using Rows = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(CudaMaxSimOf, Rows);

// More and fewer features than a tile, rows of the query than a tile, rows of a page than a tile and a block.
TYPED_TEST(CudaMaxSimOf, EveryKernelMatchesReference) {
  for (const Index W : {1, 7, 31, 33}) this->expect_matches_reference(3, W, {0, 1, 8, 73});
  for (const Index T : {1, 31, 33, 65}) this->expect_matches_reference(T, 7, {0, 2, 67});
  this->expect_matches_reference(8, 5, {0, 700, 957, 958});
}

TYPED_TEST(CudaMaxSimOf, EveryKernelTakesTheModelsRows) {
  this->expect_matches_reference(24, 128, {0, 130});
}

class CudaMaxSim : public CudaTest {};

TEST_F(CudaMaxSim, TakesNoPage) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> rows({3, 8});
  const auto first = to_device(stream, places_of({0}).view());
  cuda::DeviceBuffer<float, 1> scores({0});
  EXPECT_NO_THROW(max_sim<float>(stream, rows.view(), rows.view(), first.view(), scores.view()));
}

TEST_F(CudaMaxSim, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const auto q = to_device(stream, unit_rows_of<float>(2, 8, 1).view());
  const auto rows = to_device(stream, unit_rows_of<float>(3, 8, 2).view());
  const cuda::DeviceBuffer<float, 2> wide({3, 9});
  const auto first = to_device(stream, places_of({0, 2, 3}).view());
  cuda::DeviceBuffer<float, 1> scores({2}), one_score({1});
  const auto run = [&](DeviceView<const float, 2> query, DeviceView<const float, 2> pages,
                       DeviceView<float, 1> to) {
    max_sim<float>(stream, query, pages, first.view(), to);
  };
  EXPECT_NO_THROW(run(q.view(), rows.view(), scores.view()));
  EXPECT_THROW(run(q.view(), wide.view(), scores.view()), ContractError);
  EXPECT_THROW(run(q.view(), rows.view(), one_score.view()), ContractError);
  const DeviceView<const float, 2> window(wide.view().data(), {3, 8}, {9, 1});
  EXPECT_THROW(run(q.view(), window, scores.view()), ContractError);
  EXPECT_THROW(run(window, rows.view(), scores.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
