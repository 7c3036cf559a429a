#include "processing/formats/tga.h"

#include <string>

#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;

// A TGA has no mark at its beginning.
TEST(Tga, IsBelievedOnlyByItsName) {
  const std::string tga = bytes_of(kPictures + "rgb.tga");
  EXPECT_TRUE(same(decoded(tga, "picture.tga"), pattern()));
  EXPECT_EQ(refusal(tga, "picture.png"), "picture.png: not a picture of a known format");
}

// A TGA may be followed by 26 bytes that say nothing of the picture.
TEST(Tga, IsRefusedWithoutItsLastPixel) {
  for (const std::string name : {"rgb.tga", "rgba.tga"}) {
    const std::string whole = bytes_of(kPictures + name);
    for (std::size_t size = 0; size < whole.size() - 26; ++size) {
      EXPECT_NE(refusal(whole.substr(0, size), name), "") << name << " at " << size;
    }
    EXPECT_TRUE(same(decoded(whole.substr(0, whole.size() - 26), name), pattern())) << name;
  }
}

}  // namespace
}  // namespace paligemma
