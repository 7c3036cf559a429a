#include "tensor/gelu.h"

#include <algorithm>
#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

// The definition again, in double.
double oracle(GeluForm form, double x) {
  if (form == GeluForm::exact) return x * std::erfc(-x / std::sqrt(2.0)) / 2;
  const double u = std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * std::pow(x, 3));
  return x / 2 * (1 + std::tanh(u));
}

// x/2 (1 + tanh u) is a sum of two terms of at most x/2: if they cancel, the error is still |x|'s.
Tolerance two_terms_of(double largest_x) { return float_sum_of(2, largest_x); }

// docs/tensor/gelu.md, "By hand".
TEST(Gelu, WorkedExample) {
  const auto x = rows_of({{-1, 0, 1, 3}});
  Buffer<float, 2> y({1, 4});
  gelu(reference, GeluForm::tanh, x.view(), y.view());
  const auto by_tanh = rows_of({{-0.15880801, 0, 0.84119199, 2.9963626}});
  EXPECT_TRUE(close(y.view(), by_tanh.view(), two_terms_of(3)));
  gelu(reference, GeluForm::exact, x.view(), y.view());
  const auto by_erf = rows_of({{-0.15865525, 0, 0.84134475, 2.9959503}});
  EXPECT_TRUE(close(y.view(), by_erf.view(), two_terms_of(3)));
}

class GeluOf : public ::testing::TestWithParam<GeluForm> {};
INSTANTIATE_TEST_SUITE_P(Form, GeluOf, ::testing::Values(GeluForm::tanh, GeluForm::exact),
                         [](const auto& form) {
                           return form.param == GeluForm::tanh ? "Tanh" : "Exact";
                         });

// Each range of magnitudes by itself, so that the large ones do not hide the errors of the small.
TEST_P(GeluOf, MatchesTheDefinition) {
  for (const float largest : {0x1p-20f, 0.125f, 1.0f, 4.0f, 16.0f}) {
    for (Index F : {1, 7, 255, 257, 4304}) {
      auto x = random<float, 2>({3, F}, 1);
      Buffer<float, 2> y({3, F}), expected({3, F});
      for (Index i = 0; i < 3 * F; ++i) {
        x.view().data()[i] *= largest;
        expected.view().data()[i] = static_cast<float>(oracle(GetParam(), x.view().data()[i]));
      }
      gelu(reference, GetParam(), x.view(), y.view());
      EXPECT_TRUE(close(y.view(), expected.view(), two_terms_of(largest)))
          << "F = " << F << ", |x| <= " << largest;
    }
  }
}

// y(x) - y(-x) = x in both forms, since erf and tanh are odd.
TEST_P(GeluOf, SplitsXBetweenXAndMinusX) {
  for (const float x : {0.25f, 1.0f, 2.5f}) {
    EXPECT_NEAR(gelu(GetParam(), x) - gelu(GetParam(), -x), x, two_terms_of(x).absolute);
  }
}

TEST_P(GeluOf, PassesLargeNumbersAndStopsLargeNegativeOnes) {
  for (const float x : {20.0f, 1e4f, 1e30f}) {
    EXPECT_EQ(gelu(GetParam(), x), x);
    EXPECT_EQ(gelu(GetParam(), -x), 0);
  }
}

TEST_P(GeluOf, MayWriteInPlace) {
  auto x = random<float, 2>({3, 64}, 1);
  Buffer<float, 2> y({3, 64});
  gelu(reference, GetParam(), x.view(), y.view());
  gelu(reference, GetParam(), x.view(), x.view());
  EXPECT_TRUE(close(x.view(), y.view(), kExact));
}

// It is no ReLU: a little below zero it lets something through, with the wrong sign.
TEST_P(GeluOf, FallsBeforeItRises) {
  EXPECT_LT(gelu(GetParam(), -0.75f), -0.169f);
  EXPECT_GT(gelu(GetParam(), -2.0f), gelu(GetParam(), -0.75f));
}

// Far more than rounding and far less than one would see in a picture: the two forms, mixed up.
TEST(Gelu, HasTwoFormsThatDifferInTheFourthDecimal) {
  float largest = 0;
  for (int i = -4096; i <= 4096; ++i) {
    const float x = static_cast<float>(i) / 512;
    largest = std::max(largest, std::abs(gelu(GeluForm::tanh, x) - gelu(GeluForm::exact, x)));
  }
  EXPECT_GT(largest, 4.7e-4f);
  EXPECT_LT(largest, 5e-4f);
}

// CLIP's x sigmoid(1.702 x), "quick_gelu", is another function: 0.8458 at 1.
TEST(Gelu, IsNotTheSigmoidForm) {
  const double sigmoid_form = 1 / (1 + std::exp(-1.702));
  EXPECT_GT(sigmoid_form - gelu(GeluForm::tanh, 1), 0.004);
  EXPECT_GT(sigmoid_form - gelu(GeluForm::exact, 1), 0.004);
}

TEST(Gelu, RejectsAnOutputOfAnotherShape) {
  const auto x = random<float, 2>({3, 5}, 1);
  Buffer<float, 2> y({5, 3});
  EXPECT_THROW(gelu(reference, GeluForm::tanh, x.view(), y.view()), ContractError);
}

// ---- backward --------------------------------------------------------------------------------------

Doubles definition(GeluForm form, const Doubles& x) {
  Doubles y;
  for (const double number : x) {
    const double inner = std::sqrt(2 / M_PI) * (number + 0.044715 * std::pow(number, 3));
    const double part = form == GeluForm::tanh ? std::tanh(inner) : std::erf(number / std::sqrt(2));
    y.push_back(number / 2 * (1 + part));
  }
  return y;
}

// Both slopes are 1/2 at 0, 0 far to the left, 1 far to the right, and above 1 between.
TEST(GeluBackward, WorkedExample) {
  const auto x = rows_of({{0, -20, 20, 1}}), dy = rows_of({{2, 2, 2, 2}});
  Buffer<float, 2> dx({1, 4});
  gelu_backward(reference, GeluForm::exact, x.view(), dy.view(), dx.view());
  EXPECT_TRUE(close(dx.view(), rows_of({{1, 0, 2, 2.1666309}}).view(), float_operations(8)));
  gelu_backward(reference, GeluForm::tanh, x.view(), dy.view(), dx.view());
  EXPECT_TRUE(close(dx.view(), rows_of({{1, 0, 2, 2.1659282}}).view(), float_operations(8)));
}

TEST(GeluBackward, IsTheSlopeOfTheDefinition) {
  auto x = random<float, 2>({7, 101}, 1);
  for (Index i = 0; i < x.view().count(); ++i) x.view().data()[i] *= 6;
  const auto dy = random<float, 2>({7, 101}, 2);
  for (const GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
    Buffer<float, 2> dx({7, 101});
    gelu_backward(reference, form, x.view(), dy.view(), dx.view());
    const auto y = [&](const Doubles& numbers) { return definition(form, numbers); };
    EXPECT_TRUE(is_gradient(dx, gradient_of(y, doubles(x), doubles(dy)), 8));
  }
}

TEST(GeluBackward, MayWriteInPlace) {
  const auto x = random<float, 2>({3, 5}, 1);
  auto d = random<float, 2>({3, 5}, 2);
  Buffer<float, 2> dx({3, 5});
  gelu_backward(reference, GeluForm::tanh, x.view(), d.view(), dx.view());
  gelu_backward(reference, GeluForm::tanh, x.view(), d.view(), d.view());
  EXPECT_TRUE(close(d.view(), dx.view(), kExact));
}

TEST(GeluBackward, RejectsWrongShapes) {
  const auto x = random<float, 2>({3, 5}, 1), dy = random<float, 2>({3, 5}, 2);
  Buffer<float, 2> dx({3, 5}), turned({5, 3});
  EXPECT_THROW(gelu_backward(reference, GeluForm::tanh, x.view(), turned.view(), dx.view()),
               ContractError);
  EXPECT_THROW(gelu_backward(reference, GeluForm::tanh, x.view(), dy.view(), turned.view()),
               ContractError);
}

}  // namespace
}  // namespace paligemma
