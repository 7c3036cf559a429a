#include "processing/formats/pnm.h"

#include <string>

#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;

// stb_image neither stretches samples that end before 255 nor keeps to its memory with longer ones.
TEST(Pnm, RefusesSamplesThatAreNotBytes) {
  for (const std::string largest : {"15", "254", "1023", "65535"}) {
    EXPECT_EQ(refusal("P5 1 1 " + largest + " ABCDEF", "a.pgm"),
              "a.pgm: its samples do not go from 0 to 255; convert it to PNG");
  }
}

// Nor does it see that 5555555555 is too large for its numbers.
TEST(Pnm, RefusesNumbersOfTooManyDigits) {
  EXPECT_NE(refusal("P6 5555555555 1 255 "), "");
  EXPECT_NE(refusal("P6 1 5555555555 255 "), "");
  EXPECT_NE(refusal("P6 # 1 1 255\r 5555555555\n1 1 255 ABC"), "");  // a comment ends at "\r" too
  EXPECT_EQ(refusal("P6 # 5\n1#\n 1\t255 ABC"), "");
}

}  // namespace
}  // namespace paligemma
