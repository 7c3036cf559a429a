#include "fast/core/workspace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

namespace paligemma {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr Scratch kPurposes[] = {Scratch::rows, Scratch::panel, Scratch::strip, Scratch::patches,
                                 Scratch::adapter};

class FastWorkspace : public ::testing::Test {
 protected:
  unsigned char* bytes_of(Scratch purpose, std::size_t bytes, int thread = 0) {
    return static_cast<unsigned char*>(workspace_.scratch(thread, purpose, bytes));
  }

  Workspace workspace_{2};
};

bool all_are(const unsigned char* p, std::size_t bytes, unsigned char value) {
  return std::all_of(p, p + bytes, [=](unsigned char b) { return b == value; });
}

TEST_F(FastWorkspace, KeepsItsBlockAndWhatIsInIt) {
  for (const std::size_t bytes : {std::size_t{100}, 3 * kHugePage}) {
    unsigned char* const block = bytes_of(Scratch::rows, bytes);
    std::fill_n(block, bytes, 7);
    for (const std::size_t fewer : {bytes, bytes / 2, std::size_t{1}, bytes}) {
      EXPECT_EQ(bytes_of(Scratch::rows, fewer), block);
    }
    EXPECT_TRUE(all_are(block, bytes, 7));
  }
}

// All of what was asked for may be written, on either side of where pages become huge.
TEST_F(FastWorkspace, Grows) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{4096}, std::size_t{4097},
                                  kHugePage - 1, kHugePage, kHugePage + 1, 2 * kHugePage + 1}) {
    unsigned char* const block = bytes_of(Scratch::panel, bytes);
    ASSERT_NE(block, nullptr);
    std::fill_n(block, bytes, 3);
    EXPECT_TRUE(all_are(block, bytes, 3)) << bytes << " bytes";
  }
}

TEST_F(FastWorkspace, IsAlignedToACacheLine) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{63}, std::size_t{4097}, kHugePage - 1,
                                  kHugePage, kHugePage + 1}) {
    for (const Scratch purpose : kPurposes) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes_of(purpose, bytes)) % 64, 0u)
          << bytes << " bytes";
    }
  }
}

TEST_F(FastWorkspace, EveryThreadAndPurposeHasItsOwn) {
  for (const std::size_t bytes : {std::size_t{1000}, kHugePage + 1000}) {
    for (unsigned char i = 0; i < 10; ++i) {
      std::fill_n(bytes_of(kPurposes[i % 5], bytes, i / 5), bytes, i);
    }
    for (unsigned char i = 0; i < 10; ++i) {
      EXPECT_TRUE(all_are(bytes_of(kPurposes[i % 5], bytes, i / 5), bytes, i)) << int{i};
    }
  }
}

TEST_F(FastWorkspace, MayBeAskedForNothing) {
  EXPECT_NO_THROW(bytes_of(Scratch::strip, 0));
  EXPECT_NE(bytes_of(Scratch::strip, 1), nullptr);
}

TEST_F(FastWorkspace, SaysWhenThereIsNoMemory) {
  EXPECT_THROW(bytes_of(Scratch::rows, ~std::size_t{0}), std::bad_alloc);
  EXPECT_THROW(bytes_of(Scratch::rows, ~std::size_t{0} / 2), std::bad_alloc);
}

}  // namespace
}  // namespace paligemma
