#include "fast/gemma/geglu.h"

#include <utility>

#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

// As tests/fast/tensor/gelu_test.cpp has them, and two products with numbers of at most 1 on either side.
constexpr Tolerance kTolerance{12 * kUnitRoundoff, 11 * kUnitRoundoff};
constexpr Tolerance kSlopeTolerance{14 * kUnitRoundoff, (70 + 70) * kUnitRoundoff};

class FastGeglu : public OnEveryInstructionSet {
 protected:
  static Buffer<float, 2> numbers(Index F) {
    auto gate = random<float, 2>({3, F}, 1);
    for (Index i = 0; i < gate.view().count(); ++i) gate.view().data()[i] *= 8;
    return gate;
  }
};
INSTANTIATE_TEST_SUITE_P(, FastGeglu, kInstructionSets, instruction_set_name);

// Threads take 2048 numbers at a time.
TEST_P(FastGeglu, MatchesReference) {
  for (const Index F : {1, 7, 72, 255, 257, 2049, 4304}) {
    SCOPED_TRACE("F = " + std::to_string(F));
    const auto gate = numbers(F), up = random<float, 2>({3, F}, 2),
               dy = random<float, 2>({3, F}, 3);
    Buffer<float, 2> y({3, F}), expected({3, F}), other({3, F}), expected_other({3, F});
    geglu(fast, GeluForm::tanh, gate.view(), up.view(), y.view());
    geglu(reference, GeluForm::tanh, gate.view(), up.view(), expected.view());
    EXPECT_TRUE(close(y.view(), expected.view(), kTolerance));
    geglu_backward(fast, GeluForm::tanh, gate.view(), up.view(), dy.view(), y.view(), other.view());
    geglu_backward(reference, GeluForm::tanh, gate.view(), up.view(), dy.view(), expected.view(),
                   expected_other.view());
    EXPECT_TRUE(close(y.view(), expected.view(), kSlopeTolerance));
    EXPECT_TRUE(close(other.view(), expected_other.view(), kTolerance));
  }
}

TEST_P(FastGeglu, TheExactFormIsTheReferences) {
  const auto gate = numbers(40), up = random<float, 2>({3, 40}, 2),
             dy = random<float, 2>({3, 40}, 3);
  Buffer<float, 2> y({3, 40}), expected({3, 40}), other({3, 40}), expected_other({3, 40});
  geglu(fast, GeluForm::exact, gate.view(), up.view(), y.view());
  geglu(reference, GeluForm::exact, gate.view(), up.view(), expected.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));
  geglu_backward(fast, GeluForm::exact, gate.view(), up.view(), dy.view(), y.view(), other.view());
  geglu_backward(reference, GeluForm::exact, gate.view(), up.view(), dy.view(), expected.view(),
                 expected_other.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));
  EXPECT_TRUE(close(other.view(), expected_other.view(), kExact));
}

// Gate and up often are the halves of one matrix; here each view alone is a half.
TEST_P(FastGeglu, TakesColumnsOfAWiderMatrix) {
  const auto gate = numbers(20), up = random<float, 2>({3, 20}, 2),
             dy = random<float, 2>({3, 20}, 3);
  Buffer<float, 2> y({3, 20}), dgate({3, 20}), dup({3, 20});
  geglu(reference, GeluForm::tanh, gate.view(), up.view(), y.view());
  geglu_backward(reference, GeluForm::tanh, gate.view(), up.view(), dy.view(), dgate.view(),
                 dup.view());
  for (int wide = 0; wide < 5; ++wide) {
    SCOPED_TRACE(wide);
    Buffer<float, 2> matrix({3, 40}), flat({3, 20});
    const View<float, 2> columns(matrix.view().data(), {3, 20}, {40, 1});
    const auto in = [&](int i, const Buffer<float, 2>& rows) {
      if (i == wide) copy(reference, rows.view(), columns);
      return i == wide ? View<const float, 2>(columns) : rows.view();
    };
    const auto expect = [&](View<const float, 2> actual, const Buffer<float, 2>& expected,
                            Tolerance tolerance) {
      copy(reference, actual, flat.view());
      EXPECT_TRUE(close(flat.view(), expected.view(), tolerance));
    };
    Buffer<float, 2> one({3, 20}), other({3, 20});
    const View<float, 2> first = wide == 3 ? columns : one.view(),
                         second = wide == 4 ? columns : other.view();
    geglu_backward(fast, GeluForm::tanh, in(0, gate), in(1, up), in(2, dy), first, second);
    expect(first, dgate, kSlopeTolerance);
    expect(second, dup, kTolerance);
    geglu(fast, GeluForm::tanh, in(0, gate), in(1, up), first);
    expect(first, y, kTolerance);
  }
}

TEST_P(FastGeglu, WritesNothingBeside) {
  for (const Index F : {1, 7, 33, 47}) {
    const auto x = random<float, 2>({1, F}, 1);
    const auto before = random<float, 2>({2, 64}, 3);
    auto memory = random<float, 2>({2, 64}, 3);
    const View<float, 2> dgate(&memory.view()(0, 0), {1, F}), dup(&memory.view()(1, 0), {1, F});
    geglu_backward(fast, GeluForm::tanh, x.view(), x.view(), x.view(), dgate, dup);
    for (Index i = F; i < 64; ++i) {
      EXPECT_EQ(memory.view()(0, i), before.view()(0, i));
      EXPECT_EQ(memory.view()(1, i), before.view()(1, i));
    }
  }
}

TEST_P(FastGeglu, MayWriteInPlace) {
  auto gate = random<float, 2>({3, 40}, 1), up = random<float, 2>({3, 40}, 2),
       dy = random<float, 2>({3, 40}, 3);
  Buffer<float, 2> y({3, 40}), dgate({3, 40}), dup({3, 40});
  geglu(fast, GeluForm::tanh, gate.view(), up.view(), y.view());
  for (const bool to_up : {false, true}) {
    auto one = random<float, 2>({3, 40}, 1), other = random<float, 2>({3, 40}, 2);
    geglu(fast, GeluForm::tanh, std::as_const(one).view(), std::as_const(other).view(),
          to_up ? other.view() : one.view());
    EXPECT_TRUE(close(to_up ? other.view() : one.view(), y.view(), kExact));
  }
  geglu_backward(fast, GeluForm::tanh, gate.view(), up.view(), dy.view(), dgate.view(), dup.view());
  geglu_backward(fast, GeluForm::tanh, std::as_const(gate).view(), std::as_const(up).view(),
                 std::as_const(dy).view(), gate.view(), up.view());
  EXPECT_TRUE(close(gate.view(), dgate.view(), kExact));
  EXPECT_TRUE(close(up.view(), dup.view(), kExact));
}

TEST_P(FastGeglu, RejectsOtherShapes) {
  Buffer<float, 2> x({2, 3}), other({2, 4});
  EXPECT_THROW(geglu(fast, GeluForm::tanh, x.view(), other.view(), x.view()), ContractError);
  EXPECT_THROW(geglu(fast, GeluForm::tanh, x.view(), x.view(), other.view()), ContractError);
  for (int wrong = 0; wrong < 4; ++wrong) {
    const auto view = [&](int i) { return i == wrong ? other.view() : x.view(); };
    EXPECT_THROW(geglu_backward(fast, GeluForm::tanh, x.view(), view(0), view(1), view(2), view(3)),
                 ContractError);
  }
}

}  // namespace
}  // namespace paligemma
