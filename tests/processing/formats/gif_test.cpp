#include "processing/formats/gif.h"

#include <string>

#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;

TEST(Gif, ReadsThePattern) {
  for (const std::string name : {"palette.gif"}) {
    EXPECT_TRUE(same(read_image(kPictures + name), pattern())) << name;
  }
}

}  // namespace
}  // namespace paligemma
