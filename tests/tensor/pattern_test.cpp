#include "tensor/pattern.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/support/error_text.h"

namespace paligemma {
namespace {

using namespace test;
using namespace std::string_view_literals;

TEST(Pattern, IsFoundAnywhereInAText) {
  const Pattern pattern("k_proj|norm");
  EXPECT_TRUE(pattern.is_in("layers.0.self_attn.k_proj.bias"));
  EXPECT_TRUE(pattern.is_in("norm"));
  EXPECT_FALSE(pattern.is_in("layers.0.self_attn.q_proj"));
  EXPECT_FALSE(pattern.is_in(""));
  EXPECT_FALSE(pattern.is_in("layers.0.norm"sv.substr(0, 12)));
}

TEST(Pattern, MayHaveToBeAllOfAText) {
  const Pattern pattern("q|q_proj|.*[.]v_proj");
  EXPECT_TRUE(pattern.is_all_of("q"));
  EXPECT_TRUE(pattern.is_all_of("q_proj"));  // the first alternative that fits is not all of it
  EXPECT_TRUE(pattern.is_all_of("layers.1.v_proj"));
  EXPECT_FALSE(pattern.is_all_of("a.q_proj"));
  EXPECT_FALSE(pattern.is_all_of("q_proj.weight"));
  EXPECT_FALSE(pattern.is_all_of("v_proj"));
  EXPECT_FALSE(Pattern("q").is_all_of("q\n"));
}

TEST(Pattern, IsPerls) {
  EXPECT_TRUE(Pattern("^layers\\.(0|1)\\d\\.(?!mlp)").is_in("layers.12.self_attn"));
  EXPECT_FALSE(Pattern("^layers\\.(0|1)\\d\\.(?!mlp)").is_in("layers.12.mlp"));
  EXPECT_TRUE(Pattern("").is_in("anything"));
}

// A dot is a character, not a byte.
TEST(Pattern, ReadsUtf8) {
  EXPECT_TRUE(Pattern(".").is_all_of("é"));
  EXPECT_THROW(Pattern(".").is_in("\xff"), PatternError);
  EXPECT_THROW(Pattern("\xff"), PatternError);
}

TEST(Pattern, SaysWhatIsWrongWithAnExpression) {
  const std::string text = error_text<PatternError>([] { Pattern("(q"); });
  EXPECT_EQ(text.find("(q is no regular expression that can be used: missing "), 0u) << text;
}

TEST(Pattern, IsCalledByItsName) {
  const auto begins = [](const std::string& text) { return text.substr(0, text.find(" is no")); };
  EXPECT_EQ(begins(error_text<PatternError>([] { Pattern(".*(q", "(q"); })), "(q");
  const Pattern pattern(".*", "everything");
  EXPECT_EQ(begins(error_text<PatternError>([&] { pattern.is_in("\xff"); })), "everything");
}

// (a+)+[bc] takes twice as long for every a: a million steps here, years for fifty.
TEST(Pattern, GivesUpASearchThatHasNoEnd) {
  const Pattern pattern("(a+)+[bc]");
  EXPECT_TRUE(pattern.is_in("aab"));
  const std::string text =
      error_text<PatternError>([&] { pattern.is_in(std::string(20, 'a') + "d"); });
  EXPECT_EQ(text.find("(a+)+[bc] is no regular expression that can be used: match limit "), 0u)
      << text;
}

TEST(Pattern, OutlivesTheOneItWasCopiedFrom) {
  std::optional<Pattern> first("b+");
  const Pattern second = *first;
  first.reset();
  EXPECT_TRUE(second.is_in("abba"));
  EXPECT_FALSE(second.is_in("aa"));
}

}  // namespace
}  // namespace paligemma
