#include "processing/formats/bmp.h"

#include <string>

#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;

TEST(Bmp, ReadsThePattern) {
  for (const std::string name : {"rgb.bmp", "rgba.bmp", "palette.bmp"}) {
    EXPECT_TRUE(same(read_image(kPictures + name), pattern())) << name;
  }
}

}  // namespace
}  // namespace paligemma
