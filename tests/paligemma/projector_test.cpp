#include "paligemma/projector.h"

#include <algorithm>

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

template <class Weight>
Buffer<float, 2> projected(const Buffer<float, 2>& x, const Buffer<Weight, 2>& weight,
                           const Buffer<Weight, 1>& bias) {
  Buffer<float, 2> y({x.view().size(0), weight.view().size(0)});
  std::fill_n(y.view().data(), y.view().count(), 7.0f);  // what was there does not matter
  projector(reference, x.view(), Linear{weight.view(), bias.view()}, y.view());
  return y;
}

// docs/paligemma/projector.md, "By hand".
TEST(Projector, WorkedExample) {
  const auto x = rows_of({{1, 2}, {0, 0}});
  const auto weight = rows_of({{1, 0}, {0, 1}, {1, -1}, {3, 0.5}});
  const auto bias = vector_of({0, 0.5, 1, -1});
  const auto expected = rows_of({{1, 2.5, 0, 3}, {0, 0.5, 1, -1}});
  EXPECT_TRUE(close(projected(x, weight, bias).view(), expected.view(), kExact));
}

// Words are multiplied by sqrt(D) = 2 when they enter the decoder. These rows are not, nor are they
// divided by it or by their length.
TEST(Projector, DoesNotScaleByTheWidth) {
  Buffer<float, 2> same({4, 4});
  for (Index d = 0; d < 4; ++d) same.view()(d, d) = 1;
  const auto x = random<float, 2>({3, 4}, 1);
  const auto y = projected(x, same, vector_of({0, 0, 0, 0}));
  EXPECT_TRUE(close(y.view(), x.view(), kExact));
}

// `projector_hidden_act` in config.json means nothing: no function bends the result.
TEST(Projector, HasNoActivation) {
  const auto weight = random<float, 2>({5, 7}, 1);
  const Buffer<float, 1> bias({5});
  const auto x = random<float, 2>({3, 7}, 2);
  auto minus_2_x = random<float, 2>({3, 7}, 2);
  for (Index i = 0; i < 3 * 7; ++i) minus_2_x.view().data()[i] *= -2;
  const auto y = projected(x, weight, bias), y_of_minus_2_x = projected(minus_2_x, weight, bias);
  for (Index i = 0; i < 3 * 5; ++i) {
    EXPECT_EQ(y_of_minus_2_x.view().data()[i], -2 * y.view().data()[i]);
  }
}

// A projector starts its training as zeros: the picture then says nothing, and says it as zeros.
TEST(Projector, StartsAsZeros) {
  const Buffer<float, 2> weight({5, 7}), zeros({3, 5});
  const auto y = projected(random<float, 2>({3, 7}, 1), weight, Buffer<float, 1>({5}));
  EXPECT_TRUE(close(y.view(), zeros.view(), kExact));
}

TEST(Projector, MayHaveAnActivationBehindIt) {
  const auto after = [](ProjectorActivation activation) {
    auto y = rows_of({{1, -1}, {2, 2}});
    activate(reference, activation, y.view());
    return y;
  };
  using enum ProjectorActivation;
  EXPECT_TRUE(close(after(none).view(), rows_of({{1, -1}, {2, 2}}).view(), kExact));
  EXPECT_TRUE(close(after(gelu).view(),
                    rows_of({{0.8413447, -0.1586553}, {1.9544997, 1.9544997}}).view(),
                    float_operations(8)));
  EXPECT_TRUE(close(after(tanh).view(),
                    rows_of({{0.7615942, -0.7615942}, {0.9640276, 0.9640276}}).view(),
                    float_operations(8)));
  EXPECT_TRUE(close(after(softmax).view(), rows_of({{0.8807971, 0.1192029}, {0.5, 0.5}}).view(),
                    float_operations(8)));
}

TEST(Projector, RejectsWrongShapes) {
  const auto x = random<float, 2>({3, 7}, 1);
  const auto weight = random<float, 2>({5, 7}, 2), short_weight = random<float, 2>({5, 6}, 2);
  const auto bias = random<float, 1>({5}, 3), short_bias = random<float, 1>({4}, 3);
  EXPECT_NO_THROW(projected(x, weight, bias));
  EXPECT_THROW(projected(x, short_weight, bias), ContractError);
  EXPECT_THROW(projected(x, weight, short_bias), ContractError);
  Buffer<float, 2> narrow_y({3, 4}), short_y({2, 5});
  for (auto* y : {&narrow_y, &short_y}) {
    EXPECT_THROW(projector(reference, x.view(), Linear{weight.view(), bias.view()}, y->view()),
                 ContractError);
  }
}

// The definition again, in double. It shares no code with what it judges.
template <class Weight>
Buffer<float, 2> oracle(View<const float, 2> x, View<const Weight, 2> weight,
                        View<const Weight, 1> bias) {
  Buffer<float, 2> y({x.size(0), weight.size(0)});
  for (Index l = 0; l < x.size(0); ++l) {
    for (Index d = 0; d < weight.size(0); ++d) {
      double sum = widen(bias(d));
      for (Index i = 0; i < x.size(1); ++i) sum += double{x(l, i)} * widen(weight(d, i));
      y.view()(l, d) = static_cast<float>(sum);
    }
  }
  return y;
}

template <class Weight>
class ProjectorOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(ProjectorOf, Weights);

// 1152 is SigLIP, 36 and 40 the golden PaliGemma 1; the rest are the sizes that break kernels. No
// term is larger than 1.
TYPED_TEST(ProjectorOf, MatchesTheDefinition) {
  struct Size {
    Index L, I, D;
  };
  for (const auto& [L, I, D] : {Size{1, 1, 1}, Size{7, 7, 255}, Size{1, 257, 7}, Size{257, 1, 3},
                                Size{25, 36, 40}, Size{3, 1152, 64}}) {
    const auto x = random<float, 2>({L, I}, 1);
    const auto weight = random<TypeParam, 2>({D, I}, 2);
    const auto bias = random<TypeParam, 1>({D}, 3);
    const auto expected = oracle(x.view(), weight.view(), bias.view());
    EXPECT_TRUE(close(projected(x, weight, bias).view(), expected.view(),
                      float_sum_of(I + 1, static_cast<double>(I + 1))))
        << "L = " << L << ", I = " << I << ", D = " << D;
  }
}

}  // namespace
}  // namespace paligemma
