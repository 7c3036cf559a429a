#include "tensor/utf8.h"

#include <gtest/gtest.h>

namespace paligemma {
namespace {

using namespace std::string_view_literals;

TEST(Utf8, TellsHowLongACharacterIs) {
  EXPECT_EQ(utf8_length("a\xff"), 1u);
  EXPECT_EQ(utf8_length("é"), 2u);
  EXPECT_EQ(utf8_length("▁a"), 3u);
  EXPECT_EQ(utf8_length("\xed\x9f\xbf"), 3u);      // the last before the surrogates
  EXPECT_EQ(utf8_length("\xf4\x8f\xbf\xbf"), 4u);  // the last of all
  // Behind another, cut off, too long a form, a surrogate, past the last.
  for (const char* bytes :
       {"\x80", "\xe2\x82", "\xe2\x82y", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80"}) {
    EXPECT_EQ(utf8_length(bytes), 0u) << bytes;
  }
  EXPECT_EQ(utf8_length("\xe2\x82\xac"sv.substr(0, 2)), 0u);
}

TEST(Printable, IsOneLineWithoutControlCharacters) {
  EXPECT_EQ(printable("weight ▁rot €"), "weight ▁rot €");
  EXPECT_EQ(printable("a\nb\tc\r"), "a\\x0ab\\x09c\\x0d");
  EXPECT_EQ(printable("\x1b[2J\x7f\0"sv), "\\x1b[2J\\x7f\\x00");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J \xc2\xa0"),
            "\\xc2\\x9b2J \xc2\xa0");  // CSI in one character; a blank
  // Not UTF-8: a byte alone, cut off, too long a form, a surrogate, past the last character.
  EXPECT_EQ(printable("\x9b\xe2\x82"), "\\x9b\\xe2\\x82");
  EXPECT_EQ(printable("\xc0\x8a"), "\\xc0\\x8a");
  EXPECT_EQ(printable("\xed\xa0\x80\xf4\x90\x80\x80"), "\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80");
}

}  // namespace
}  // namespace paligemma
