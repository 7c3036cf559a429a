#include "train/curve.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <regex>
#include <string>
#include <vector>

namespace paligemma {
namespace {

// Whether each element is closed by its name, attributes are in quotes, and text has entities alone.
::testing::AssertionResult is_well_formed(const std::string& svg) {
  const std::regex element(R"(<(/?)([a-z]+)((?: [a-zA-Z-]+="[^"<>&]*")*)(/?)>)");
  const std::regex text(R"((?:[^<>&]|&(?:amp|lt|gt);)*)");
  std::vector<std::string> open;
  std::size_t end = 0;
  for (std::sregex_iterator it(svg.begin(), svg.end(), element), none; it != none; ++it) {
    const auto begin = static_cast<std::size_t>(it->position());
    const std::string between = svg.substr(end, begin - end);
    if (!std::regex_match(between, text)) return ::testing::AssertionFailure() << between;
    end = begin + static_cast<std::size_t>(it->length());
    const std::string name = (*it)[2];
    if ((*it)[1] == "/") {
      if (open.empty() || open.back() != name) return ::testing::AssertionFailure() << name;
      open.pop_back();
    } else if ((*it)[4] != "/") {
      open.push_back(name);
    }
  }
  if (open.empty() && svg.substr(end) == "\n") return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << svg.substr(end);
}

RunState run_of(const std::vector<float>& losses,
                const std::vector<RunState::Validation>& validations = {}) {
  return {std::ssize(losses), losses, validations};
}

struct Place {
  double x, y;
};

// Where the line of this kind goes.
std::vector<Place> line_of(const std::string& svg, const std::string& kind) {
  std::smatch found;
  std::vector<Place> places;
  if (!std::regex_search(svg, found, std::regex("class=\"" + kind + "\" d=\"([^\"]*)\""))) {
    return places;
  }
  const std::string path = found[1];
  const std::regex place("([ML])([0-9.]+) ([0-9.]+)");
  for (std::sregex_iterator it(path.begin(), path.end(), place), none; it != none; ++it) {
    EXPECT_EQ((*it)[1], places.empty() ? "M" : "L");
    places.push_back({std::stod((*it)[2]), std::stod((*it)[3])});
  }
  return places;
}

std::size_t count_of(const std::string& svg, const std::string& text) {
  std::size_t count = 0;
  for (auto at = svg.find(text); at != svg.npos; at = svg.find(text, at + 1)) ++count;
  return count;
}

// Well-formed, and all of it within the picture.
void expect_picture(const RunState& state) {
  const std::string svg = curve_svg(state, "a run");
  EXPECT_TRUE(is_well_formed(svg));
  EXPECT_EQ(svg.find("nan"), svg.npos);
  EXPECT_EQ(svg.find("inf"), svg.npos);
  for (const char* kind : {"each", "mean", "checked"}) {
    for (const Place& place : line_of(svg, kind)) {
      EXPECT_TRUE(56 <= place.x && place.x <= 704 && 36 <= place.y && place.y <= 320) << kind;
    }
  }
}

TEST(Curve, DrawsRunsOfAnyKind) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  expect_picture({});
  expect_picture(run_of({2}));
  expect_picture(run_of({2}, {{1, 3}}));
  expect_picture(run_of({2, 2, 2}));
  expect_picture(run_of({0, 0, 0}, {{3, 0}}));
  expect_picture(run_of({1e-30f, 1e30f}));
  expect_picture(run_of({1, 2, 3}, {{1, kNan}, {2, kInfinity}}));
  expect_picture(run_of({kNan, kInfinity}));
}

TEST(Curve, HasItsTitle) {
  EXPECT_NE(curve_svg({}, "google/paligemma-3b").find(">google/paligemma-3b<"), std::string::npos);
  const std::string svg = curve_svg({}, "a<b & \"c\">");
  EXPECT_TRUE(is_well_formed(svg));
  EXPECT_NE(svg.find(">a&lt;b &amp; \"c\"&gt;<"), std::string::npos);
}

// From the left to the right, a step by a step; a factor of ten is as high everywhere, and more is higher.
TEST(Curve, HasStepsAndLossesWhereTheyBelong) {
  const RunState state = run_of({10, 1, 0.1f, 0.1f}, {{2, 1}, {4, 10}});
  const std::string svg = curve_svg(state, "");
  const std::vector<Place> each = line_of(svg, "each"), checked = line_of(svg, "checked");
  ASSERT_EQ(each.size(), 4u);
  EXPECT_NEAR(each[0].y, 36, 0.1);
  EXPECT_NEAR(each[1].y, 178, 0.1);
  EXPECT_NEAR(each[2].y, 320, 0.1);
  EXPECT_NEAR(each[3].y, each[2].y, 0.1);
  EXPECT_NEAR(each[0].x, 56 + 648 / 4, 0.1);
  EXPECT_NEAR(each[3].x, 704, 0.1);
  ASSERT_EQ(checked.size(), 2u);
  EXPECT_NEAR(checked[0].x, each[1].x, 0.1);
  EXPECT_NEAR(checked[0].y, each[1].y, 0.1);
  EXPECT_NEAR(checked[1].x, each[3].x, 0.1);
  EXPECT_NEAR(checked[1].y, each[0].y, 0.1);
  EXPECT_EQ(count_of(svg, "<circle"), 2u);
  for (const char* label : {">0.1<", ">0.2<", ">0.5<", ">1<", ">10<", ">3<", ">4<"}) {
    EXPECT_NE(svg.find(label), svg.npos) << label;
  }
  EXPECT_EQ(count_of(svg, "class=\"grid\""), 7u);
}

// Of 40 steps the last two, of what there is at the beginning.
TEST(Curve, TheThickLineIsTheMean) {
  std::vector<float> losses;
  for (int i = 0; i < 40; ++i) losses.push_back(i % 2 == 0 ? 1.0f : 10.0f);
  const std::string svg = curve_svg(run_of(losses), "");
  const std::vector<Place> mean = line_of(svg, "mean");
  ASSERT_EQ(mean.size(), 40u);
  EXPECT_NEAR(mean[0].y, 320, 0.1);
  for (std::size_t i = 1; i < 40; ++i) {
    EXPECT_NEAR(mean[i].y, 320 - 284 * std::log10(5.5), 0.1) << i;
  }
  EXPECT_NE(svg.find(".mean{stroke:#1a56b0;stroke-width:2}"), svg.npos);
  const std::string few = curve_svg(run_of({1, 10, 1}), "");
  EXPECT_NEAR(line_of(few, "mean")[1].y, line_of(few, "each")[1].y, 1e-9);
}

TEST(Curve, NamesNoStepTwice) {
  const std::string svg = curve_svg(run_of({2}), "");
  EXPECT_EQ(count_of(svg, "class=\"middle\""), 2u);
  EXPECT_EQ(count_of(curve_svg(run_of({1, 1, 1, 1, 1, 1, 1, 1}), ""), "\"middle\""), 5u);
  EXPECT_EQ(count_of(curve_svg({}, ""), "\"middle\""), 1u);
}

}  // namespace
}  // namespace paligemma
