#include "processing/formats/jpeg.h"

#include <string>

#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;

// JPEG leaves its decoders room. From Pillow's pixels these differ by at most so many units: by how
// cosines and colours are rounded, and by how halved colours are spread.
TEST(Jpeg, ReadsAlmostAsPillowDoes) {
  const auto pillow = [](const std::string& name) {
    return read_image(kPictures + name + "_jpg_expected.png");
  };
  EXPECT_TRUE(same(read_image(kPictures + "baseline.jpg"), pillow("baseline"), 2));
  EXPECT_TRUE(same(read_image(kPictures + "progressive.jpg"), pillow("baseline"), 2));
  EXPECT_TRUE(same(read_image(kPictures + "subsampled.jpg"), pillow("subsampled"), 2));
  EXPECT_TRUE(same(read_image(kPictures + "grey.jpg"), pillow("grey")));
  EXPECT_TRUE(same(read_image(kPictures + "cmyk.jpg"), pillow("cmyk"), 1));
}

// stb_image would write the codes past its own memory. Fill bytes may stand before the first marker.
TEST(Jpeg, RefusesHuffmanTablesOfMoreThan256Codes) {
  const std::string table =
      std::string("\xff\xc4\x00\x13\x00", 5) + std::string(16, '\x11') + "\xff\xd9";
  const std::string jpeg = bytes_of(kPictures + "baseline.jpg");
  EXPECT_NE(refusal(jpeg.substr(0, 2) + table + jpeg.substr(2)), "");
  EXPECT_NE(refusal("\xff\xff\xff\xd8" + table, "a.tga"), "");
  EXPECT_EQ(refusal(jpeg), "");
}

// Those would come from whatever was in memory before.
TEST(Jpeg, MeetsMissingHuffmanTablesTheSameWayEveryTime) {
  std::string jpeg = bytes_of(kPictures + "baseline.jpg");
  for (std::size_t at; (at = jpeg.find("\xff\xc4")) != jpeg.npos;) {
    jpeg.erase(at, 2 + static_cast<unsigned char>(jpeg[at + 3]));  // all are shorter than 256
  }
  const auto outcome = [&](char before) {
    EXPECT_EQ(std::string(100'000, before).back(), before);  // this much of the heap
    return refusal(jpeg);
  };
  EXPECT_NE(outcome('\0'), "");
  EXPECT_EQ(outcome('\x7f'), outcome('\0'));
}

}  // namespace
}  // namespace paligemma
