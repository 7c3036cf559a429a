#include "fast/core/scratch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <latch>
#include <thread>

namespace paligemma {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr Scratch kPurposes[] = {Scratch::rows, Scratch::panel, Scratch::strip};

unsigned char* bytes_of(Scratch purpose, std::size_t bytes) {
  return static_cast<unsigned char*>(scratch(purpose, bytes));
}

bool all_are(const unsigned char* p, std::size_t bytes, unsigned char value) {
  return std::all_of(p, p + bytes, [=](unsigned char b) { return b == value; });
}

// A new thread has no blocks yet.
template <class Function>
void on_a_new_thread(const Function& f) {
  std::thread(f).join();
}

TEST(FastScratch, KeepsItsBlockAndWhatIsInIt) {
  on_a_new_thread([] {
    for (const std::size_t bytes : {std::size_t{100}, 3 * kHugePage}) {
      unsigned char* const block = bytes_of(Scratch::rows, bytes);
      std::fill_n(block, bytes, 7);
      for (const std::size_t fewer : {bytes, bytes / 2, std::size_t{1}, bytes}) {
        EXPECT_EQ(scratch(Scratch::rows, fewer), block);
      }
      EXPECT_TRUE(all_are(block, bytes, 7));
    }
  });
}

// All of what was asked for may be written, on either side of where pages become huge.
TEST(FastScratch, Grows) {
  on_a_new_thread([] {
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{4096}, std::size_t{4097},
                                    kHugePage - 1, kHugePage, kHugePage + 1, 2 * kHugePage + 1}) {
      unsigned char* const block = bytes_of(Scratch::panel, bytes);
      ASSERT_NE(block, nullptr);
      std::fill_n(block, bytes, 3);
      EXPECT_TRUE(all_are(block, bytes, 3)) << bytes << " bytes";
    }
  });
}

TEST(FastScratch, IsAlignedToACacheLine) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{63}, std::size_t{4097}, kHugePage - 1,
                                  kHugePage, kHugePage + 1}) {
    for (const Scratch purpose : kPurposes) {
      on_a_new_thread([=] {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(scratch(purpose, bytes)) % 64, 0u)
            << bytes << " bytes";
      });
    }
  }
}

TEST(FastScratch, EveryPurposeHasItsOwn) {
  for (const std::size_t bytes : {std::size_t{1000}, kHugePage + 1000}) {
    for (unsigned char i = 0; i < 3; ++i) std::fill_n(bytes_of(kPurposes[i], bytes), bytes, i);
    for (unsigned char i = 0; i < 3; ++i) {
      EXPECT_TRUE(all_are(bytes_of(kPurposes[i], bytes), bytes, i)) << "purpose " << int{i};
    }
  }
}

// Both threads live while either looks.
TEST(FastScratch, EveryThreadHasItsOwn) {
  constexpr std::size_t kBytes = 10'000;
  std::latch both_wrote(2);
  const auto use = [&](unsigned char value) {
    for (const Scratch purpose : kPurposes) std::fill_n(bytes_of(purpose, kBytes), kBytes, value);
    both_wrote.arrive_and_wait();
    for (const Scratch purpose : kPurposes) {
      EXPECT_TRUE(all_are(bytes_of(purpose, kBytes), kBytes, value)) << "thread " << int{value};
    }
  };
  std::thread other(use, 2);
  use(1);
  other.join();
}

TEST(FastScratch, MayBeAskedForNothing) {
  on_a_new_thread([] {
    EXPECT_NO_THROW(scratch(Scratch::strip, 0));
    EXPECT_NE(scratch(Scratch::strip, 1), nullptr);
  });
}

}  // namespace
}  // namespace paligemma
