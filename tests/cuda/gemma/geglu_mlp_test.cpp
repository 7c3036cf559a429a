#include "cuda/gemma/geglu_mlp.h"

#include "cuda/gemma/geglu.h"
#include "gemma/geglu.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::LinearKernel;
using cuda::Math;

struct Shape {
  Index T, F, I;
};

// x is in bf16 already, so that no kernel rounds anything. With gate and up sums of I products up to 1,
// each within `sum` of the truth: gate changes its gelu by up to 1.13 times as much, and each factor is
// multiplied by the other, at most I / 2 for these random numbers. The gelu has an error of its own
// (tests/cuda/tensor/gelu_test.cpp).
Tolerance tolerance(Index I) {
  const auto n = static_cast<double>(I);
  const double sum = twice(float_sum_of(I, n / 4)).absolute;
  return {40 * kUnitRoundoff, (2.13 * sum + 16 * kUnitRoundoff) * n / 2};
}

Buffer<float, 2> random_bf16(Index T, Index I) {
  auto x = random<float, 2>({T, I}, 1);
  for (Index i = 0; i < T * I; ++i) x.view().data()[i] = widen(narrow<bf16>(x.view().data()[i]));
  return x;
}

template <class Weight>
struct Case {
  Case(Shape s, GeluForm form)
      : x(random_bf16(s.T, s.I)),
        gate(random<Weight, 2>({s.F, s.I}, 2)),
        up(random<Weight, 2>({s.F, s.I}, 3)),
        expected({s.T, s.F}) {
    Buffer<float, 2> of_up({s.T, s.F});
    linear(reference, x.view(), Linear{gate.view()}, expected.view());
    linear(reference, x.view(), Linear{up.view()}, of_up.view());
    geglu(reference, form, expected.view(), of_up.view(), expected.view());
  }

  const Buffer<float, 2> x;
  const Buffer<Weight, 2> gate, up;
  Buffer<float, 2> expected;
};

enum class Orders { one, all };

template <class Weight>
void expect_matches_composition(Shape s, LinearKernel kernel, Orders orders = Orders::one,
                                GeluForm form = GeluForm::tanh, Math math = Math::bf16) {
  SCOPED_TRACE("T = " + std::to_string(s.T) + ", F = " + std::to_string(s.F) +
               ", I = " + std::to_string(s.I));
  const Case<Weight> c(s, form);
  const cuda::Stream stream(math);
  const auto x = to_device(stream, c.x.view());
  const auto gate = to_device(stream, c.gate.view()), up = to_device(stream, c.up.view());
  const auto once = [&] {
    cuda::DeviceBuffer<float, 2> y_there({s.T, s.F});
    linear_geglu(stream, x.view(), gate.view(), up.view(), form, y_there.view(), kernel);
    const auto y = to_host(stream, y_there.view());
    EXPECT_TRUE(close(y.view(), c.expected.view(), tolerance(s.I)));
  };
  orders == Orders::all ? in_every_order(once) : once();
}

template <class Weight>
class CudaGegluMlpOf : public CudaTest {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(CudaGegluMlpOf, Weights);

TYPED_TEST(CudaGegluMlpOf, WarpPerOutputMatchesComposition) {
  const auto kernel = LinearKernel::warp_per_output;
  for (Shape s : {Shape{1, 1, 1}, {2, 5, 255}, {5, 65, 24}, {1, 3, 2048}}) {
    expect_matches_composition<TypeParam>(s, kernel);
  }
  expect_matches_composition<TypeParam>({1, 7, 8}, kernel, Orders::one, GeluForm::exact);
  expect_matches_composition<TypeParam>({4, 5, 264}, kernel, Orders::all);
}

TYPED_TEST(CudaGegluMlpOf, OtherKernelsAreComposed) {
  for (auto kernel : {LinearKernel::thread_per_output, LinearKernel::tiled}) {
    expect_matches_composition<TypeParam>({3, 67, 20}, kernel);
  }
}

TYPED_TEST(CudaGegluMlpOf, BestMatchesComposition) {
  for (Math math : {Math::bf16, Math::float32}) {
    for (Shape s : {Shape{1, 9, 64}, {9, 9, 7}, {9, 7, 64}, {65, 3, 16}}) {
      expect_matches_composition<TypeParam>(s, LinearKernel::best, Orders::one, GeluForm::tanh,
                                            math);
    }
  }
}

// The block of a Gemma whose sizes are small and odd.
TYPED_TEST(CudaGegluMlpOf, ComputesTheMlp) {
  constexpr Index T = 3, D = 24, F = 40;
  gemma::DecoderShape shape{};
  shape.width = D, shape.mlp_width = F, shape.gelu = GeluForm::tanh;
  const auto x = random<float, 2>({T, D}, 1);
  const auto gate = random<TypeParam, 2>({F, D}, 2), up = random<TypeParam, 2>({F, D}, 3);
  const auto down = random<TypeParam, 2>({D, F}, 4);

  gemma::DecoderScratch<Reference> s(shape, T + 1);
  copy(reference, x.view(), s.normed.view().rows(0, T));
  const gemma::GegluMlpWeights<HostWeights<TypeParam>> w{{gate.view()}, {up.view()}, {down.view()}};
  geglu_mlp(reference, w, shape, gemma::Segment{{}, 0, T, T}, s);

  const cuda::Stream stream(Math::float32);
  const auto gate_there = to_device(stream, gate.view()), up_there = to_device(stream, up.view());
  const auto down_there = to_device(stream, down.view());
  gemma::DecoderScratch<cuda::Stream> s_there(shape, T + 1);
  copy(stream, to_device(stream, x.view()).view(), s_there.normed.view().rows(0, T));
  const gemma::GegluMlpWeights<cuda::DeviceWeights<TypeParam>> w_there{
      {gate_there.view()}, {up_there.view()}, {down_there.view()}};
  geglu_mlp(stream, w_there, shape, gemma::Segment{{}, 0, T, T}, s_there);
  const auto y = to_host(stream, s_there.branch.view().rows(0, T));
  const Tolerance each = tolerance(D);  // F of them, times weights up to 1
  EXPECT_TRUE(close(y.view(), s.branch.view().rows(0, T),
                    {each.relative, static_cast<double>(F) * each.absolute}));
}

class CudaGegluMlpOnTensorCores : public CudaTest,
                                  public ::testing::WithParamInterface<LinearKernel> {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (!IsSkipped() && GetParam() == LinearKernel::warpgroup && cuda::compute_capability() != 90) {
      GTEST_SKIP() << "wgmma is compute capability 9.0's alone";
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, CudaGegluMlpOnTensorCores,
                         ::testing::Values(LinearKernel::tensor_core, LinearKernel::warpgroup),
                         [](const auto& of) {
                           return of.param == LinearKernel::tensor_core ? "MmaSync" : "Wgmma";
                         });

// 64 hidden features are a tile; they are no multiple of the eight that gate and up take turns by.
TEST_P(CudaGegluMlpOnTensorCores, MatchesComposition) {
  for (Shape s : {Shape{1, 1, 8}, {7, 13, 72}, {89, 63, 40}, {9, 65, 136}}) {
    expect_matches_composition<bf16>(s, GetParam());
  }
  expect_matches_composition<bf16>({2, 3, 8}, GetParam(), Orders::one, GeluForm::exact);
}

TEST_P(CudaGegluMlpOnTensorCores, KeepsItsStagesApart) {
  expect_matches_composition<bf16>({7, 9, 328}, GetParam(), Orders::all);
}

TEST_P(CudaGegluMlpOnTensorCores, WantsPacksOfBf16) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> x({2, 12});
  const cuda::DeviceBuffer<bf16, 2> gate({3, 12});
  const cuda::DeviceBuffer<f16, 2> other({3, 12});
  cuda::DeviceBuffer<float, 2> y({2, 3});
  EXPECT_THROW(linear_geglu(stream, x.view(), gate.view(), gate.view(), GeluForm::tanh, y.view(),
                            GetParam()),
               ContractError);
  EXPECT_THROW(linear_geglu(stream, x.view(), other.view(), other.view(), GeluForm::tanh, y.view(),
                            GetParam()),
               ContractError);
}

class CudaGegluMlp : public CudaTest {};

TEST_F(CudaGegluMlp, MmaSyncHasNoBankConflicts) {
  if (!cuda::is_emulated()) GTEST_SKIP() << "a GPU's profiler counts them";
  cuda::take_ldmatrix_conflicts();
  expect_matches_composition<bf16>({88, 64, 64}, LinearKernel::tensor_core);
  EXPECT_EQ(cuda::take_ldmatrix_conflicts(), 0);
}

TEST_F(CudaGegluMlp, RejectsWrongShapes) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> x({2, 8}), gate({3, 8}), other({4, 8}), no_x({0, 8});
  cuda::DeviceBuffer<float, 2> y({2, 3}), wide({2, 4}), no_y({0, 3});
  const auto run = [&](const auto& in, const auto& g, const auto& u, auto& out) {
    linear_geglu<float>(stream, in.view(), g.view(), u.view(), GeluForm::tanh, out.view());
  };
  EXPECT_NO_THROW(run(no_x, gate, gate, no_y));
  EXPECT_THROW(run(x, gate, other, y), ContractError);
  EXPECT_THROW(run(x, other, gate, y), ContractError);
  EXPECT_THROW(run(x, gate, gate, wide), ContractError);
}

}  // namespace
}  // namespace paligemma
