#include "cuda/tensor/linear.h"

#include <optional>

#include "cuda/core/graph.h"
#include "tensor/gelu.h"
#include "tensor/linear.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::LinearKernel;
using cuda::Math;

// What is added to a sum of products, and what becomes of it.
struct Ending {
  bool bias = false;
  std::optional<GeluForm> gelu = {};
  bool add = false;
};
const Ending kSum{}, kBias{.bias = true}, kAdd{.add = true}, kBiasAndAdd{.bias = true, .add = true},
    kTanh{.bias = true, .gelu = GeluForm::tanh}, kExactForm{.bias = true, .gelu = GeluForm::exact};
const Ending kEndings[] = {kSum, kBias, kAdd, kBiasAndAdd, kTanh, kExactForm};

struct Shape {
  Index T, O, I;
};
enum class Orders { one, all };

// Tensor cores take x rounded to bf16, and nothing else is rounded: so their results are compared with
// the reference's of rounded x, within what sums of floats may differ by.
constexpr bool rounds(LinearKernel kernel) {
  return kernel == LinearKernel::tensor_core || kernel == LinearKernel::warpgroup;
}
Buffer<float, 2> rounded(View<const float, 2> x) {
  Buffer<float, 2> y(x.shape());
  for (Index i = 0; i < x.count(); ++i) y.view().data()[i] = widen(narrow<bf16>(x.data()[i]));
  return y;
}

// Of sums of I products of numbers up to 1, and two more. A GELU changes at most 1.13 times as much as
// what it is of, and has an error of its own (tests/cuda/tensor/gelu_test.cpp).
Tolerance tolerance(Index I, const Ending& ending) {
  Tolerance t = twice(float_sum_of(I, static_cast<double>(I) / 4 + 2));
  if (ending.gelu) t = {1.13 * t.relative + 20 * kUnitRoundoff, 1.13 * t.absolute};
  return t;
}

template <class Weight>
struct Case {
  Case(Shape s, Ending e)
      : shape(s),
        ending(e),
        x(random<float, 2>({s.T, s.I}, 1)),
        before(random<float, 2>({s.T, s.O}, 2)),
        weight(random<Weight, 2>({s.O, s.I}, 3)),
        bias(random<Weight, 1>({s.O}, 4)) {}

  Buffer<float, 2> expected(View<const float, 2> of_x) const {
    Buffer<float, 2> y({shape.T, shape.O});
    if (ending.bias) {
      linear(reference, of_x, Linear{weight.view(), bias.view()}, y.view());
    } else {
      linear(reference, of_x, Linear{weight.view()}, y.view());
    }
    if (ending.gelu) gelu(reference, *ending.gelu, y.view(), y.view());
    for (Index i = 0; ending.add && i < y.view().count(); ++i) {
      y.view().data()[i] += before.view().data()[i];
    }
    return y;
  }

  void run(const cuda::Stream& stream, DeviceView<const float, 2> x_there,
           DeviceView<const Weight, 2> weight_there, DeviceView<const Weight, 1> bias_there,
           DeviceView<float, 2> y, LinearKernel kernel) const {
    const Linear<cuda::DeviceWeights<Weight>> w{
        weight_there, ending.bias ? bias_there : DeviceView<const Weight, 1>()};
    linear(stream, x_there, w, y, {.activation = ending.gelu, .add = ending.add}, kernel);
  }

  Shape shape;
  Ending ending;
  Buffer<float, 2> x, before;
  Buffer<Weight, 2> weight;
  Buffer<Weight, 1> bias;
};

template <class Weight>
void expect_matches_reference(Shape s, LinearKernel kernel, Orders orders = Orders::one,
                              const Ending& ending = kSum, Math math = Math::bf16) {
  SCOPED_TRACE("T = " + std::to_string(s.T) + ", O = " + std::to_string(s.O) +
               ", I = " + std::to_string(s.I));
  const Case<Weight> c(s, ending);
  const auto expected = c.expected(rounds(kernel) ? rounded(c.x.view()).view() : c.x.view());
  const cuda::Stream stream(math);
  const auto x = to_device(stream, c.x.view());
  const auto weight = to_device(stream, c.weight.view());
  const auto bias = to_device(stream, c.bias.view());
  const auto once = [&] {
    auto y_there = to_device(stream, c.before.view());
    c.run(stream, x.view(), weight.view(), bias.view(), y_there.view(), kernel);
    const auto y = to_host(stream, y_there.view());
    EXPECT_TRUE(close(y.view(), expected.view(), tolerance(s.I, ending)));
  };
  orders == Orders::all ? in_every_order(once) : once();
}

template <class Weight>
class CudaLinearOf : public CudaTest {
 protected:
  static void expect_sums(LinearKernel kernel, std::initializer_list<Shape> shapes,
                          Orders orders = Orders::one) {
    for (const Shape& s : shapes) expect_matches_reference<Weight>(s, kernel, orders);
  }
  static void expect_endings(LinearKernel kernel, Shape s) {
    for (const Ending& e : kEndings) expect_matches_reference<Weight>(s, kernel, Orders::one, e);
  }
};

using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(CudaLinearOf, Weights);

TYPED_TEST(CudaLinearOf, ThreadPerOutputMatchesReference) {
  this->expect_sums(LinearKernel::thread_per_output,
                    {{1, 1, 1}, {3, 7, 7}, {2, 257, 255}, {1, 3, 4304}});
  this->expect_endings(LinearKernel::thread_per_output, {3, 5, 7});
}

// More tokens and more outputs than a tile has; rows that are no multiple of 16 or of 4.
TYPED_TEST(CudaLinearOf, TiledMatchesReference) {
  this->expect_sums(LinearKernel::tiled, {{1, 1, 1}, {7, 3, 7}, {65, 7, 257}, {1, 2, 4304}});
  this->expect_sums(LinearKernel::tiled, {{66, 67, 20}, {5, 6, 33}}, Orders::all);
  this->expect_endings(LinearKernel::tiled, {7, 9, 20});
}

// An odd number of outputs; one token, a few, and more than a warp takes.
TYPED_TEST(CudaLinearOf, WarpPerOutputMatchesReference) {
  this->expect_sums(LinearKernel::warp_per_output,
                    {{1, 1, 1}, {1, 9, 7}, {2, 7, 255}, {4, 3, 257}, {7, 2, 588}, {1, 17, 2048}});
  this->expect_sums(LinearKernel::warp_per_output, {{5, 3, 4304}, {1, 3, 16384}});
  this->expect_sums(LinearKernel::warp_per_output, {{1, 9, 264}, {5, 3, 33}}, Orders::all);
  this->expect_endings(LinearKernel::warp_per_output, {1, 9, 264});
  this->expect_endings(LinearKernel::warp_per_output, {7, 9, 264});
}

// Rows of 64 could go to tensor cores.
TYPED_TEST(CudaLinearOf, BestRoundsNothingInMathFloat32) {
  for (Index T : {1, 2, 9, 65}) {
    for (Index I : {7, 64}) {
      expect_matches_reference<TypeParam>({T, 11, I}, LinearKernel::best, Orders::one, kBias,
                                          Math::float32);
    }
  }
}

// ---- tensor cores ----------------------------------------------------------------------------------

class CudaLinearOnTensorCores : public CudaTest,
                                public ::testing::WithParamInterface<LinearKernel> {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (!IsSkipped() && GetParam() == LinearKernel::warpgroup && cuda::compute_capability() != 90) {
      GTEST_SKIP() << "wgmma is compute capability 9.0's alone";
    }
  }
  static void expect_sums(std::initializer_list<Shape> shapes, Orders orders = Orders::one) {
    for (const Shape& s : shapes) expect_matches_reference<bf16>(s, GetParam(), orders);
  }
};
INSTANTIATE_TEST_SUITE_P(, CudaLinearOnTensorCores,
                         ::testing::Values(LinearKernel::tensor_core, LinearKernel::warpgroup),
                         [](const auto& of) {
                           return of.param == LinearKernel::tensor_core ? "MmaSync" : "Wgmma";
                         });

// Fewer features than a stage has, as many, and a part of the next; tokens around a tile's 88.
TEST_P(CudaLinearOnTensorCores, MatchesReference) {
  expect_sums({{1, 1, 8}, {2, 7, 64}, {88, 3, 24}, {89, 5, 72}, {33, 127, 40}});
}

// More outputs than a tile has, an odd number.
TEST_P(CudaLinearOnTensorCores, TakesSeveralTiles) {
  expect_sums({{130, 1, 40}, {7, 129, 136}, {1, 257, 16}});
}

// Longer than all stages, in several orders of threads.
TEST_P(CudaLinearOnTensorCores, KeepsItsStagesApart) { expect_sums({{7, 9, 328}}, Orders::all); }

// 17 steps of 64 features make two parts of 9 and 8.
TEST_P(CudaLinearOnTensorCores, AddsUpPartsOfTheFeatures) {
  for (const Ending& e : {kAdd, kTanh}) {
    expect_matches_reference<bf16>({9, 5, 1032}, GetParam(), Orders::one, e);
  }
}
TEST_P(CudaLinearOnTensorCores, TakesAsManyFeaturesAsTheModelsHave) { expect_sums({{2, 1, 4304}}); }

TEST_P(CudaLinearOnTensorCores, EndsItsSums) {
  for (const Ending& e : kEndings) {
    expect_matches_reference<bf16>({7, 9, 72}, GetParam(), Orders::one, e);
  }
}

// The same sums in the same order, whichever block is first.
TEST_P(CudaLinearOnTensorCores, GivesTheSameBitsEveryTime) {
  const cuda::Stream stream;
  const auto x = to_device(stream, random<float, 2>({3, 1032}, 1).view());
  const auto weight = to_device(stream, random<bf16, 2>({5, 1032}, 2).view());
  std::optional<Buffer<float, 2>> first;
  in_every_order([&] {
    cuda::DeviceBuffer<float, 2> y_there({3, 5});
    linear(stream, x.view(), Linear{weight.view()}, y_there.view(), {}, GetParam());
    auto y = to_host(stream, y_there.view());
    if (first) {
      EXPECT_TRUE(close(y.view(), first->view(), kExact));
    } else {
      first = std::move(y);
    }
  });
}

TEST_P(CudaLinearOnTensorCores, WantsPacksOfBf16) {
  const cuda::Stream stream;
  const auto run = [&]<class Weight>(Weight, Index I, Index skipped) {
    const cuda::DeviceBuffer<float, 1> x({9 * I});
    const cuda::DeviceBuffer<Weight, 1> weight({2 * I + skipped});
    cuda::DeviceBuffer<float, 2> y({9, 2});
    linear(stream, x.view().reshaped<2>({9, I}),
           Linear{DeviceView<const Weight, 2>(weight.view().data() + skipped, {2, I})}, y.view(),
           {}, GetParam());
  };
  EXPECT_THROW(run(bf16{}, 588, 0), ContractError);  // no multiple of 8
  EXPECT_THROW(run(bf16{}, 64, 4), ContractError);   // not at a multiple of 16 bytes
  EXPECT_THROW(run(f16{}, 64, 0), ContractError);
  EXPECT_THROW(run(float{}, 64, 0), ContractError);
}

// ---- what holds for all ----------------------------------------------------------------------------

class CudaLinear : public CudaTest {};

constexpr LinearKernel kKernels[] = {LinearKernel::best,        LinearKernel::thread_per_output,
                                     LinearKernel::tiled,       LinearKernel::warp_per_output,
                                     LinearKernel::tensor_core, LinearKernel::warpgroup};
bool is_there(LinearKernel kernel) {
  return kernel != LinearKernel::warpgroup || cuda::compute_capability() == 90;
}

// By its rounding one sees which kernel it was.
TEST_F(CudaLinear, BestRoundsWhereTensorCoresMay) {
  for (Index T : {1, 8, 9, 63, 64, 89}) {
    const Case<bf16> c({T, 5, 72}, kBias);
    const auto as_it_is = c.expected(c.x.view()),
               of_rounded = c.expected(rounded(c.x.view()).view());
    const cuda::Stream stream;
    const auto x = to_device(stream, c.x.view());
    const auto weight = to_device(stream, c.weight.view());
    const auto bias = to_device(stream, c.bias.view());
    cuda::DeviceBuffer<float, 2> y_there({T, 5});
    linear(stream, x.view(), Linear{weight.view(), bias.view()}, y_there.view());
    const auto y = to_host(stream, y_there.view());
    EXPECT_TRUE(close(y.view(), T > 8 ? of_rounded.view() : as_it_is.view(), tolerance(72, kBias)))
        << "T = " << T;
    EXPECT_TRUE(close(y.view(), as_it_is.view(), bf16_products_of(72)));
  }
}

TEST_F(CudaLinear, MmaSyncHasNoBankConflicts) {
  if (!cuda::is_emulated()) GTEST_SKIP() << "a GPU's profiler counts them";
  cuda::take_ldmatrix_conflicts();
  expect_matches_reference<bf16>({88, 128, 128}, LinearKernel::tensor_core);
  EXPECT_EQ(cuda::take_ldmatrix_conflicts(), 0);
}

// The products of PaliGemma 3B, for a picture of 224 pixels with a short question and for one token: every
// kernel against the one that is the definition.
TEST_F(CudaLinear, WholeModelShapesAgreeOnAGpu) {
  if (cuda::is_emulated()) GTEST_SKIP() << "whole model shapes want a GPU";
  constexpr Shape kShapes[] = {{264, 16384, 2048}, {264, 2048, 16384}, {264, 2048, 2048},
                               {256, 4304, 1152},  {256, 1152, 4304},  {1, 257216, 2048},
                               {1, 2048, 16384},   {1, 16384, 2048}};
  const cuda::Stream stream;
  for (const Shape& s : kShapes) {
    const auto x = to_device(stream, rounded(random<float, 2>({s.T, s.I}, 1).view()).view());
    const auto weight = to_device(stream, random<bf16, 2>({s.O, s.I}, 2).view());
    const auto product = [&](LinearKernel kernel) {
      cuda::DeviceBuffer<float, 2> y({s.T, s.O});
      linear(stream, x.view(), Linear{weight.view()}, y.view(), {}, kernel);
      return to_host(stream, y.view());
    };
    const auto expected = product(LinearKernel::thread_per_output);
    for (LinearKernel kernel : {LinearKernel::tiled, LinearKernel::warp_per_output,
                                LinearKernel::tensor_core, LinearKernel::warpgroup}) {
      if (kernel == LinearKernel::warpgroup && cuda::compute_capability() != 90) continue;
      EXPECT_TRUE(close(product(kernel).view(), expected.view(), tolerance(s.I, kSum)))
          << "T = " << s.T << ", O = " << s.O << ", I = " << s.I << ", kernel "
          << static_cast<int>(kernel);
    }
  }
}

// SigLIP's patches have 588 numbers, which is no multiple of 8.
TEST_F(CudaLinear, BestTakesRowsThatTensorCoresCannot) {
  expect_matches_reference<bf16>({9, 3, 588}, LinearKernel::best);
  expect_matches_reference<bf16>({2, 3, 588}, LinearKernel::best);
}

// x and weights that begin one number behind a multiple of 16 bytes.
TEST_F(CudaLinear, BestTakesOddAddresses) {
  const Case<bf16> c({9, 5, 64}, kSum);
  const auto expected = c.expected(c.x.view());
  const cuda::Stream stream;
  for (Index T : {1, 9}) {
    Buffer<float, 1> x({1 + 9 * 64});
    Buffer<bf16, 1> weight({1 + 5 * 64});
    std::copy_n(c.x.view().data(), 9 * 64, x.view().data() + 1);
    std::copy_n(c.weight.view().data(), 5 * 64, weight.view().data() + 1);
    const auto x_there = to_device(stream, x.view());
    const auto weight_there = to_device(stream, weight.view());
    for (auto kernel : {LinearKernel::best, LinearKernel::tiled, LinearKernel::warp_per_output}) {
      cuda::DeviceBuffer<float, 2> y_there({T, 5});
      linear(stream, DeviceView<const float, 2>(x_there.view().data() + 1, {T, 64}),
             Linear{DeviceView<const bf16, 2>(weight_there.view().data() + 1, {5, 64})},
             y_there.view(), {}, kernel);
      const auto y = to_host(stream, y_there.view());
      EXPECT_TRUE(close(y.view(), expected.view().rows(0, T), tolerance(64, kSum)));
    }
  }
}

TEST_F(CudaLinear, MayWriteIntoAWindow) {
  const Case<bf16> c({3, 5, 64}, kSum);
  const auto expected = c.expected(rounded(c.x.view()).view());
  const cuda::Stream stream;
  const auto x = to_device(stream, rounded(c.x.view()).view());
  const auto weight = to_device(stream, c.weight.view());
  for (LinearKernel kernel : kKernels) {
    if (!is_there(kernel)) continue;
    auto wide_there = to_device(stream, Buffer<float, 2>({3, 8}).view());
    const DeviceView<float, 2> window(wide_there.view().data() + 2, {3, 5}, {8, 1});
    linear(stream, x.view(), Linear{weight.view()}, window, {}, kernel);
    const auto wide = to_host(stream, wide_there.view());
    for (Index t = 0; t < 3; ++t) {
      for (Index o : {0, 1, 7}) EXPECT_EQ(wide.view()(t, o), 0);
      const View<const float, 1> row(&wide.view()(t, 2), {5});
      EXPECT_TRUE(close(row, expected.view().row(t), tolerance(64, kSum)));
    }
  }
}

// A graph keeps the places of scratch memory, too: 1032 features are shared by two blocks.
TEST_F(CudaLinear, CanBeRecorded) {
  const Case<bf16> c({2, 3, 1032}, kSum);
  const auto x_rounded = rounded(c.x.view());
  auto expected = c.expected(x_rounded.view());
  for (Index i = 0; i < 6; ++i) expected.view().data()[i] *= 2;
  const cuda::Stream stream;
  const auto x = to_device(stream, x_rounded.view());
  const auto weight = to_device(stream, c.weight.view());
  for (auto kernel : {LinearKernel::warp_per_output, LinearKernel::tensor_core}) {
    auto y_there = to_device(stream, Buffer<float, 2>({2, 3}).view());
    const auto add = [&] {
      linear(stream, x.view(), Linear{weight.view()}, y_there.view(), {.add = true}, kernel);
    };
    cuda::DeviceBuffer<float, 2> before({2, 3});
    linear(stream, x.view(), Linear{weight.view()}, before.view(), {}, kernel);  // the arena grows
    const cuda::Graph graph(stream, add);
    graph.launch(stream);
    graph.launch(stream);
    const auto y = to_host(stream, y_there.view());
    EXPECT_TRUE(close(y.view(), expected.view(), twice(tolerance(1032, kSum))));
  }
}

TEST_F(CudaLinear, TakesNoTokensAndNoOutputs) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> x({3, 8}), no_x({0, 8});
  const cuda::DeviceBuffer<bf16, 2> weight({2, 8}), no_weight({0, 8});
  cuda::DeviceBuffer<float, 2> no_rows({0, 2}), no_columns({3, 0});
  for (LinearKernel kernel : kKernels) {
    linear(stream, no_x.view(), Linear{weight.view()}, no_rows.view(), {}, kernel);
    linear(stream, x.view(), Linear{no_weight.view()}, no_columns.view(), {}, kernel);
  }
}

TEST_F(CudaLinear, RejectsWrongShapes) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> x({3, 8}), short_x({3, 7});
  const cuda::DeviceBuffer<float, 2> weight({5, 8});
  const cuda::DeviceBuffer<float, 1> bias({5}), short_bias({4});
  cuda::DeviceBuffer<float, 2> y({3, 5}), few_rows({2, 5}), few_columns({3, 4});
  const auto run = [&](const auto& in, const auto& shift, auto& out) {
    linear(stream, in.view(), Linear{weight.view(), shift.view()}, out.view());
  };
  EXPECT_THROW(run(short_x, bias, y), ContractError);
  EXPECT_THROW(run(x, short_bias, y), ContractError);
  EXPECT_THROW(run(x, bias, few_rows), ContractError);
  EXPECT_THROW(run(x, bias, few_columns), ContractError);
  const DeviceView<float, 2> strided(y.view().data(), {3, 5}, {1, 3});
  EXPECT_THROW(linear(stream, x.view(), Linear{weight.view()}, strided), ContractError);
}

}  // namespace
}  // namespace paligemma
