#include "tensor/json_reader.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "tensor/errors.h"
#include "tests/support/error_text.h"

namespace paligemma {
namespace {

using namespace test;

std::map<std::string, int> fields_of(std::string_view text) {
  JsonReader json(text, "ids");
  std::map<std::string, int> fields;
  json.enter('{');
  while (const auto name = json.next_name()) fields[std::string(*name)] = json.whole();
  json.expect_end();
  return fields;
}

std::string text_of(std::string_view text) {
  JsonReader json(text, "text");
  const std::string read(json.text());
  json.expect_end();
  return read;
}

std::string refusal(std::string_view text) {
  return error_text<ModelFileError>([&] { fields_of(text); });
}

// tensor/json_reader.h.
TEST(JsonReader, WorkedExample) {
  using Fields = std::map<std::string, int>;
  EXPECT_EQ(fields_of(R"({"red": 377, "circle": 330})"), (Fields{{"red", 377}, {"circle", 330}}));
  EXPECT_EQ(fields_of("{}"), Fields());
  EXPECT_EQ(fields_of(" {\t\"a\"\n:\r0 , \"\":2147483647 } "),
            (Fields{{"a", 0}, {"", 2147483647}}));
}

TEST(JsonReader, ReadsLists) {
  JsonReader json(R"([[], ["a", "b"], ["c"]])", "lists");
  std::vector<std::vector<std::string>> lists;
  json.enter('[');
  while (json.next_item()) {
    EXPECT_EQ(json.next(), '[');
    json.enter('[');
    lists.emplace_back();
    while (json.next_item()) lists.back().emplace_back(json.text());
  }
  json.expect_end();
  EXPECT_EQ(lists, (std::vector<std::vector<std::string>>{{}, {"a", "b"}, {"c"}}));
}

// As nlohmann's library reads them.
TEST(JsonReader, ReadsEscapes) {
  for (const char* text :
       {R"("")", R"("red")", R"("\"\\\/\b\f\n\r\t")", R"("a\u0041\u00e9\u2581\uFFFFz")",
        R"("\ud83d\ude08")", R"("\uD800\uDC00\uDBFF\uDFFF")", R"("é\\")", R"("\u0000")"}) {
    EXPECT_EQ(text_of(text), nlohmann::json::parse(text).get<std::string>()) << text;
  }
  for (const char* text :
       {R"(")", R"("\)", R"("\")", R"("\x")", R"("\u12")", R"("\u12g4")", R"("\ud83d")",
        R"("\ud83d\n")", R"("\ud83dxx")", R"("\ude08")", R"("\ude08\ude08")", R"("\ud83d\u0041")",
        "\"\n\"", "\"\\n\n\"", "a", R"("\u+123")", R"("\u-123")", R"("\ud83d\ud83d")", R"("" x)"}) {
    EXPECT_FALSE(nlohmann::json::accept(text)) << text;
    EXPECT_THROW(text_of(text), ModelFileError) << text;
  }
}

TEST(JsonReader, TakesAnyValueAsItIsWritten) {
  for (const std::string value :
       {"1.5e3", "null", "true", "\"a]}\"", "[]", "{\"a\": [1, {\"b\": \"]\\\"\"}], \"c\": {}}"}) {
    for (const std::string behind : {"]", " ]", ",1]", "\n, 1]"}) {
      const std::string text = "[" + value + behind;
      JsonReader json(text, "list");
      json.enter('[');
      EXPECT_TRUE(json.next_item());
      EXPECT_EQ(json.raw(), value);
      if (json.next_item()) {
        EXPECT_EQ(json.whole(), 1);
        EXPECT_FALSE(json.next_item());
      }
      json.expect_end();
    }
  }
  for (const char* text : {"[", "{\"a\":", "[\"]", "[[]", "\"a"}) {
    EXPECT_THROW(JsonReader(text, "cut off").raw(), ModelFileError) << text;
  }
}

TEST(JsonReader, NamesTheByte) {
  EXPECT_EQ(refusal(R"({"a" 1})"), "ids: not JSON: byte 6: : was expected");
  EXPECT_EQ(refusal(R"({"a": 1 "b": 2})"), "ids: not JSON: byte 9: , was expected");
  EXPECT_EQ(refusal(R"({"a": 1,})"), "ids: not JSON: byte 9: \" was expected");
  EXPECT_EQ(refusal(R"({,})"), "ids: not JSON: byte 2: \" was expected");
  EXPECT_EQ(refusal(R"({"a": 1}})"), "ids: not JSON: byte 9: the end was expected");
  for (const char* text :
       {"", "[", "{", "{\"a", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":-1}", "{\"a\":1.5}",
        "{\"a\":1e2}", "{\"a\":2147483648}", "{\"a\":\"1\"}", "{\"a\":null}", "{\"a\":[1]}"}) {
    EXPECT_NE(refusal(text), "") << text;
  }
}

}  // namespace
}  // namespace paligemma
