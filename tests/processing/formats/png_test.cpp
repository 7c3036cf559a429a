#include "processing/formats/png.h"

#include <string>

#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;

// "AB..D", where the decoder's message quotes the file's bytes.
TEST(Png, RefusesInPrintableWords) {
  std::string png = bytes_of(kPictures + "rgb.png");
  png[37] = '\x85';  // first letter of the second chunk, capital: not to be passed over
  for (char c : refusal(png)) EXPECT_TRUE(c >= ' ' && c <= '~');
}

TEST(Png, ReadsOneBitAsBlackAndWhite) {
  const auto image = read_image(kPictures + "one_bit.png");
  const int rows[]{0b10110010, 0b01001100, 0b11111110, 0, 0x54};
  for (Index y = 0; y < 5; ++y) {
    for (Index x = 0; x < 7; ++x)
      EXPECT_EQ(image.view()(y, x, 1), rows[y] >> (7 - x) & 1 ? 255 : 0);
  }
}

}  // namespace
}  // namespace paligemma
