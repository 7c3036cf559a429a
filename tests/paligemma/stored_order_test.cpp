#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "paligemma/stored_order_copy.h"

namespace paligemma {
namespace {

// Where a file has our number i.
Index place(const StoredOrder& order, std::size_t i) {
  const Index B = order.sizes[1], C = order.sizes[2];
  const auto [step_a, step_b, step_c] = order.steps;
  const auto at = static_cast<Index>(i);
  return at / C / B * step_a + at / C % B * step_b + at % C * step_c;
}

// The numbers of a file, i / 2, `offset` bytes behind an aligned place, in our order.
template <class Stored, class Real>
std::vector<Real> ours(const StoredOrder& order, std::size_t offset = 0) {
  const auto [A, B, C] = order.sizes;
  const auto count = static_cast<std::size_t>(A * B * C);
  std::vector<std::byte> file(count * sizeof(Stored) + offset);
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = narrow<Stored>(static_cast<float>(i) / 2);
    std::memcpy(file.data() + offset + i * sizeof number, &number, sizeof number);
  }
  std::vector<Real> out(count);
  copy_numbers<Stored>(file.data() + offset, order, out.data());
  return out;
}

// Sides that a block of 8 and a square of 64 divide, and sides that they do not.
TEST(StoredOrder, PutsEveryNumberInItsPlace) {
  for (const StoredOrder& order :
       {StoredOrder{{1, 8, 8}, {0, 1, 8}}, StoredOrder{{1, 64, 128}, {0, 1, 64}},
        StoredOrder{{1, 67, 131}, {0, 1, 67}}, StoredOrder{{3, 16, 40}, {640, 1, 16}},
        StoredOrder{{5, 3, 4}, {1, 5, 15}}, StoredOrder{{2, 16, 24}, {1, 2, 32}},
        StoredOrder{{1, 1, 1000}, {0, 0, 1}}}) {
    const auto floats = ours<float, float>(order);
    const auto odd = ours<float, float>(order, 1);
    for (std::size_t i = 0; i < floats.size(); ++i) {
      const float expected = static_cast<float>(place(order, i)) / 2;
      ASSERT_EQ(floats[i], expected) << i;
      ASSERT_EQ(odd[i], expected) << i;
    }
  }
}

TEST(StoredOrder, RoundsEveryNumber) {
  const StoredOrder order{{1, 67, 131}, {0, 1, 67}};
  const auto rounded = ours<float, bf16>(order);
  const auto widened = ours<f16, float>(order);
  for (std::size_t i = 0; i < rounded.size(); ++i) {
    const float number = static_cast<float>(place(order, i)) / 2;
    ASSERT_EQ(rounded[i].bits, narrow<bf16>(number).bits) << i;
    ASSERT_EQ(widened[i], widen(narrow<f16>(number))) << i;
  }
}

// A NaN with all of its bits.
TEST(StoredOrder, CopiesTheBitsOfTheSameType) {
  const bf16 nan{0x7f81};
  bf16 copied{};
  copy_numbers<bf16>(reinterpret_cast<const std::byte*>(&nan), {{1, 1, 1}, {0, 0, 1}}, &copied);
  EXPECT_EQ(copied.bits, nan.bits);
}

}  // namespace
}  // namespace paligemma
