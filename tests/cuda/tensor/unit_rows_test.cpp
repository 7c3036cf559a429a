#include "cuda/tensor/unit_rows.h"

#include "tensor/unit_rows.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::UnitRowsKernel;

constexpr UnitRowsKernel kKernels[] = {UnitRowsKernel::best, UnitRowsKernel::thread_per_group,
                                       UnitRowsKernel::warp_per_group};

template <class Weight>
class CudaUnitRowsOf : public CudaTest {
 protected:
  static void expect_matches_reference(Index T, Index W, UnitRule rule, Index scale_size) {
    const auto x = random<float, 2>({T, W}, 1);
    const auto scale = random<Weight, 1>({scale_size}, 2);
    Buffer<float, 2> expected({T, W});
    unit_rows(reference, x.view(), rule, scale.view(), expected.view());

    const cuda::Stream stream;
    const auto x_there = to_device(stream, x.view());
    const auto scale_there = to_device(stream, scale.view());
    for (UnitRowsKernel kernel : kKernels) {
      in_every_order([&] {
        cuda::DeviceBuffer<float, 2> y_there({T, W});
        unit_rows(stream, x_there.view(), rule, scale_there.view(), y_there.view(), kernel);
        const auto y = to_host(stream, y_there.view());
        EXPECT_TRUE(close(y.view(), expected.view(), twice(float_sum_of(W / rule.groups))))
            << "T = " << T << ", W = " << W << ", groups = " << rule.groups << ", kernel "
            << static_cast<int>(kernel);
      });
    }
  }
};

using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(CudaUnitRowsOf, Weights);

// Not multiples of a warp or of the block; 257 rows are more than a block has threads.
TYPED_TEST(CudaUnitRowsOf, EveryKernelMatchesReference) {
  for (Index W : {1, 7, 31, 33, 255, 257}) this->expect_matches_reference(3, W, {}, W);
  for (Index T : {1, 8, 9, 257}) this->expect_matches_reference(T, 7, {}, 7);
}

TYPED_TEST(CudaUnitRowsOf, EveryKernelTakesGroupsOfARow) {
  for (Index groups : {1, 2, 8, 24}) this->expect_matches_reference(3, 72, {.groups = groups}, 72);
  this->expect_matches_reference(5, 512, {.groups = 8}, 512);
}

TYPED_TEST(CudaUnitRowsOf, EveryKernelTakesNoScale) {
  this->expect_matches_reference(3, 72, {.groups = 2}, 0);
}

TYPED_TEST(CudaUnitRowsOf, EveryKernelDividesByTheFloorWhatIsShorter) {
  this->expect_matches_reference(3, 72, {.groups = 2, .floor = 100}, 72);
}

class CudaUnitRows : public CudaTest {};

TEST_F(CudaUnitRows, ZerosStayZeros) {
  const cuda::Stream stream;
  const Buffer<float, 2> x({2, 40});
  const auto x_there = to_device(stream, x.view());
  for (UnitRowsKernel kernel : kKernels) {
    cuda::DeviceBuffer<float, 2> y_there({2, 40});
    unit_rows<float>(stream, x_there.view(), {}, {}, y_there.view(), kernel);
    EXPECT_TRUE(close(to_host(stream, y_there.view()).view(), x.view(), kExact));
  }
}

TEST_F(CudaUnitRows, MayWriteInPlace) {
  const auto x = random<float, 2>({3, 264}, 1);
  Buffer<float, 2> expected({3, 264});
  unit_rows<float>(reference, x.view(), {.groups = 4}, {}, expected.view());
  const cuda::Stream stream;
  for (UnitRowsKernel kernel : kKernels) {
    in_every_order([&] {
      auto there = to_device(stream, x.view());
      unit_rows<float>(stream, there.view(), {.groups = 4}, {}, there.view(), kernel);
      const auto y = to_host(stream, there.view());
      EXPECT_TRUE(close(y.view(), expected.view(), twice(float_sum_of(66))));
    });
  }
}

TEST_F(CudaUnitRows, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> x({2, 8}), wide({2, 9});
  const cuda::DeviceBuffer<float, 1> short_scale({7});
  cuda::DeviceBuffer<float, 2> y({2, 8}), short_y({1, 8});
  const auto run = [&](auto from, UnitRule rule, DeviceView<const float, 1> scale, auto to) {
    unit_rows<float>(stream, from, rule, scale, to);
  };
  EXPECT_THROW(run(x.view(), {}, short_scale.view(), y.view()), ContractError);
  EXPECT_THROW(run(x.view(), {}, {}, short_y.view()), ContractError);
  EXPECT_THROW(run(x.view(), {.groups = 3}, {}, y.view()), ContractError);
  EXPECT_THROW(run(x.view(), {.groups = 0}, {}, y.view()), ContractError);
  const DeviceView<const float, 2> window(wide.view().data(), {2, 8}, {9, 1});
  EXPECT_THROW(run(window, {}, {}, y.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
