#include "processing/formats/pnm.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/pictures.h"
#include "tests/support/small_files.h"

namespace paligemma {
namespace {

using namespace test;

std::string outcome(const std::string& file) { return test::outcome(formats::decode_pnm, file); }

TEST(Pnm, ReadsThePattern) {
  EXPECT_TRUE(same(read_image(kPictures + "rgb.ppm"), pattern()));
  EXPECT_TRUE(same(read_image(kPictures + "grey.pgm"), pattern(true)));
}

// Expected pixels are those of Pillow 13.0.0, but for grey samples above 255.
TEST(Pnm, ReadsEveryKind) {
  EXPECT_EQ(outcome("P1 3 2 0 1 0 1 1 0"), "ffffff 000000 ffffff / 000000 000000 ffffff");
  EXPECT_EQ(outcome("P1\n3 2\n010110"), "ffffff 000000 ffffff / 000000 000000 ffffff");
  EXPECT_EQ(outcome("P2 2 1 255 7 254\n"), "070707 fefefe");
  EXPECT_EQ(outcome("P3 2 1 255 1 2 3 4 5 6"), "010203 040506");
  EXPECT_EQ(outcome("P4 9 2 " + hex("4080 bf00")),
            "ffffff 000000 ffffff ffffff ffffff ffffff ffffff ffffff 000000 / "
            "000000 ffffff 000000 000000 000000 000000 000000 000000 ffffff");
  EXPECT_EQ(outcome("P5 2 1 255 " + hex("07fe")), "070707 fefefe");
  EXPECT_EQ(outcome("P6 2 1 255 " + hex("010203 040506")), "010203 040506");
}

// v / largest * 255, halves to even: 76.5 and 25.5 become 76 and 26.
TEST(Pnm, StretchesSamplesTo255) {
  EXPECT_EQ(outcome("P2 4 1 100 30 10 1 100"), "4c4c4c 1a1a1a 030303 ffffff");
  EXPECT_EQ(outcome("P5 4 1 100 " + hex("1e0a 01ff")),
            "4c4c4c 1a1a1a 030303 ffffff");  // 255 is cut
  EXPECT_EQ(outcome("P3 1 1 15 0 7 15"), "0077ff");
  EXPECT_EQ(outcome("P6 2 1 65535 " + hex("0181 0182 0000 ffff 8000 7fff")), "010200 ff807f");
  EXPECT_EQ(outcome("P3 1 1 1023 1 512 1023"), "0080ff");
}

// Pillow has 16 bits of these and clips them at 255. Here it is the upper byte.
TEST(Pnm, TakesTheUpperByteOfWideGrey) {
  EXPECT_EQ(outcome("P5 3 1 65535 " + hex("00ff 1234 ffff")), "000000 121212 ffffff");
  EXPECT_EQ(outcome("P2 3 1 1023 3 512 1023"), "000000 808080 ffffff");
  EXPECT_EQ(outcome("P5 2 1 256 " + hex("0080 0100")), "808080 ffffff");
}

// Behind the largest sample stands one blank, and then pixels.
TEST(Pnm, PassesOverCommentsAnywhere) {
  EXPECT_EQ(outcome("P2#\n #a\n2#b\r 1 #c\n#d\n255\n#e\n1 #f\n 2"), "010101 020202");
  EXPECT_EQ(outcome("P2 1#x\n2 1 255 1 2 3 4 5 6 7 8 9 1#y\n0 11 12").substr(62),
            " 0a0a0a 0b0b0b 0c0c0c");  // 12 pixels, and 10: the number goes on
  EXPECT_EQ(outcome("P5 2 1 255\n#1"), "232323 313131");
  EXPECT_EQ(outcome("P5 2 1 255\r\n1"), "0a0a0a 313131");
  EXPECT_EQ(outcome("P1 2 1 #x\n0#y\n1"), "ffffff 000000");
}

TEST(Pnm, ReadsTheFirstOfSeveral) {
  EXPECT_EQ(outcome("P2 1 1 9 9 P2 1 1 9 1"), "ffffff");
  EXPECT_EQ(outcome("P5 1 1 255 aP5 1 1 255 b"), "616161");
}

TEST(Pnm, IsRefusedWithoutItsLastSample) {
  for (const std::string whole : {"P4 9 1 ab", "P5 2 1 255 ab", "P6 1 1 65535 abcdef"}) {
    for (std::size_t size = 3; size < whole.size(); ++size) {
      EXPECT_NE(outcome(whole.substr(0, size)).find("is cut off"), std::string::npos) << size;
    }
  }
  EXPECT_EQ(outcome("P1 3 1 0 1 "), "the PBM is cut off");
  EXPECT_EQ(outcome("P2 3 1 255 111 111 "), "the PGM is cut off");
  EXPECT_EQ(outcome("P3 1 1 255 1 1 #1"), "the PPM is cut off");
}

TEST(Pnm, RefusesNumbersThatAreNone) {
  EXPECT_EQ(outcome("P6 55555555555 1 255 "), "the PPM has a number of more than ten digits");
  EXPECT_NE(outcome("P6 5555555555 1 255 ").find("pixels are more than"), std::string::npos);
  EXPECT_NE(outcome("P6 1 5555555555 255 ").find("pixels are more than"), std::string::npos);
  const std::string other = "looks like PGM, but something else stands where a number should";
  EXPECT_EQ(outcome("P2 1 1 x"), other);
  EXPECT_EQ(outcome("P2 1 1 255 -1"), other);
  EXPECT_EQ(outcome("P2 1 1 255 0x1"), other);
  EXPECT_EQ(outcome("P2 1 1 0 0"), "the PGM's largest sample is 0, not 1 to 65535");
  EXPECT_EQ(outcome("P5 1 1 65536 abc"), "the PGM's largest sample is 65536, not 1 to 65535");
  EXPECT_EQ(outcome("P2 1 1 99 100"), "the PGM has a sample of 100, above its largest");
  EXPECT_EQ(outcome("P1 1 1 2"), "the PBM has a sample of 2, above its largest");
  EXPECT_EQ(outcome("P5 0 1 255 "), "has no pixels");
  EXPECT_EQ(outcome("P5x 1 1 255 a"), "not a picture of a known format");
}

TEST(Pnm, NamesItsRelatives) {
  EXPECT_NE(refusal("P7\nWIDTH 1\n").find("looks like PAM"), std::string::npos);
  EXPECT_NE(refusal("Pf\n1 1\n1.0\nabcd").find("looks like PFM"), std::string::npos);
  EXPECT_NE(refusal("PF\n1 1\n1.0\nabcd").find("looks like PFM"), std::string::npos);
}

}  // namespace
}  // namespace paligemma
