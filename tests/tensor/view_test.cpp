#include "tensor/view.h"

#include <gtest/gtest.h>

#include <concepts>
#include <numeric>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tensor/buffer.h"

namespace paligemma {
namespace {

// 0, 1, 2, ...
std::vector<float> counting(Index count) {
  std::vector<float> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0.0f);
  return numbers;
}

TEST(View, PutsTheLastAxisTogether) {
  auto numbers = counting(24);
  const View<float, 3> x(numbers.data(), {2, 3, 4});
  EXPECT_EQ(x.stride(), (std::array<Index, 3>{12, 4, 1}));
  EXPECT_EQ(x(1, 2, 3), 1 * 12 + 2 * 4 + 3);
  EXPECT_EQ(x.count(), 24);
  EXPECT_EQ(x.size(0), 2);
  EXPECT_EQ(x.size(2), 4);
  EXPECT_TRUE(x.is_row_major());
}

TEST(View, FollowsItsStrides) {
  auto numbers = counting(12);
  const View<float, 2> transposed(numbers.data(), {4, 3}, {1, 4});
  EXPECT_EQ(transposed(3, 2), 2 * 4 + 3);
  EXPECT_FALSE(transposed.is_row_major());
  const View<float, 2> left_half(numbers.data(), {3, 2}, {4, 1});
  EXPECT_EQ(left_half(2, 1), 9);
  EXPECT_FALSE(left_half.is_row_major());
}

TEST(View, WritesWhereItPoints) {
  auto numbers = counting(12);
  View<float, 2>(numbers.data(), {3, 4})(2, 1) = -1;
  EXPECT_EQ(numbers[9], -1);
}

TEST(View, OfNothingHasNoElements) {
  EXPECT_EQ((View<float, 2>().count()), 0);
  EXPECT_EQ((View<float, 2>().data()), nullptr);
  const Buffer<float, 2> no_rows({0, 4});
  EXPECT_EQ(no_rows.view().count(), 0);
}

TEST(View, RowLosesTheFirstAxis) {
  auto numbers = counting(24);
  const View<float, 3> x(numbers.data(), {2, 3, 4});
  const View<float, 2> second = x.row(1);
  EXPECT_EQ(second.shape(), (std::array<Index, 2>{3, 4}));
  EXPECT_EQ(second(2, 3), 23);
  EXPECT_EQ(second.row(0)(1), 13);
}

TEST(View, RowKeepsTheOtherStrides) {
  auto numbers = counting(12);
  const View<float, 2> transposed(numbers.data(), {4, 3}, {1, 4});
  EXPECT_EQ(transposed.row(3)(2), 11);
}

TEST(View, RowsKeepsTheRank) {
  auto numbers = counting(12);
  const View<float, 2> x(numbers.data(), {3, 4});
  const View<float, 2> middle = x.rows(1, 3);
  EXPECT_EQ(middle.shape(), (std::array<Index, 2>{2, 4}));
  EXPECT_EQ(middle(0, 0), 4);
  EXPECT_EQ(middle(1, 3), 11);
  EXPECT_TRUE(middle.is_row_major());
  EXPECT_EQ(x.rows(2, 2).count(), 0);
}

TEST(View, ReshapedSeesTheSameNumbers) {
  auto numbers = counting(12);
  const View<float, 2> x(numbers.data(), {2, 6});
  const View<float, 3> heads = x.reshaped<3>({2, 3, 2});
  EXPECT_EQ(heads(1, 2, 0), x(1, 4));
  EXPECT_EQ(heads.data(), x.data());
}

TEST(View, RejectsShapesOfAnotherCountAndOfScatteredNumbers) {
  auto numbers = counting(12);
  const View<float, 2> x(numbers.data(), {2, 6});
  EXPECT_THROW((x.reshaped<3>({2, 3, 3})), ContractError);
  const View<float, 2> transposed(numbers.data(), {6, 2}, {1, 6});
  EXPECT_THROW((transposed.reshaped<1>({12})), ContractError);
}

TEST(View, NamesItsShapeInErrors) {
  EXPECT_EQ(shape_text(View<float, 2>(nullptr, {3, 4})), "[3, 4]");
  EXPECT_EQ(shape_text(View<float, 1>(nullptr, {5})), "[5]");
}

TEST(View, AFailedCheckNamesPlaceRuleAndDetail) {
  try {
    PG_CHECK(1 + 1 == 3, "detail");
    FAIL() << "no exception";
  } catch (const ContractError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("view_test.cpp"), std::string::npos) << text;
    EXPECT_NE(text.find("1 + 1 == 3"), std::string::npos) << text;
    EXPECT_NE(text.find("(detail)"), std::string::npos) << text;
  }
}

// What must not compile, asked of the compiler.
TEST(View, MayReadWhatItMayWriteAndNotTheOtherWayRound) {
  static_assert(std::convertible_to<View<float, 2>, View<const float, 2>>);
  static_assert(!std::convertible_to<View<const float, 2>, View<float, 2>>);
}

TEST(View, KeepsHostAndDeviceApart) {
  static_assert(!std::convertible_to<DeviceView<float, 2>, View<float, 2>>);
  static_assert(!std::convertible_to<View<float, 2>, DeviceView<float, 2>>);
}

TEST(View, IsKnownToTheCompiler) {
  static constexpr float kNumbers[] = {1, 2, 3, 4, 5, 6};
  static_assert(View<const float, 2>(kNumbers, {2, 3})(1, 0) == 4);
}

TEST(Buffer, StartsAsZeros) {
  const Buffer<float, 2> buffer({3, 4});
  for (Index i = 0; i < 12; ++i) EXPECT_EQ(buffer.view().data()[i], 0);
}

TEST(Buffer, KeepsItsNumbersWhenMoved) {
  Buffer<float, 1> first({2});
  first.view()(1) = 5;
  const float* data = first.view().data();
  const Buffer<float, 1> second = std::move(first);
  EXPECT_EQ(second.view().data(), data);
  EXPECT_EQ(second.view()(1), 5);
}

TEST(Buffer, CannotBeCopiedByAccident) {
  static_assert(!std::copyable<Buffer<float, 2>>);
  static_assert(std::movable<Buffer<float, 2>>);
}

TEST(Buffer, ThatIsConstMayOnlyBeRead) {
  using Owner = const Buffer<float, 2>;
  static_assert(std::same_as<decltype(std::declval<Owner&>().view()), View<const float, 2>>);
}

TEST(Copy, CopiesRowsBetweenAnyStrides) {
  auto numbers = counting(6);
  const View<float, 2> transposed(numbers.data(), {3, 2}, {1, 3});
  Buffer<float, 2> to({3, 2});
  copy(reference, transposed, to.view());
  EXPECT_EQ(to.view()(2, 1), 5);
  EXPECT_EQ(to.view()(0, 1), 3);
}

TEST(Copy, RejectsAnotherShape) {
  Buffer<float, 2> from({2, 3}), to({3, 3});
  EXPECT_THROW(copy(reference, from.view(), to.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
