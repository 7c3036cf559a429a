#include "processing/detections.h"

#include <gtest/gtest.h>

namespace paligemma {
namespace {

using Bins = std::array<int, 4>;

std::string locs(const Bins& bins) {
  std::string text;
  for (int bin : bins) {
    char token[32];
    std::snprintf(token, sizeof token, "<loc%04d>", bin);
    text += token;
  }
  return text;
}

std::string segs(int first, int count) {
  std::string text;
  for (int code = first; code < first + count; ++code) {
    char token[32];
    std::snprintf(token, sizeof token, "<seg%03d>", code);
    text += token;
  }
  return text;
}

// docs/processing/detections.md, "By hand". The answer is that of transformers' own test of
// paligemma-3b-pt-224 with the prompt "detect shoe".
TEST(Detections, WorkedExample) {
  const auto found = parse_detections("<loc0051><loc0309><loc0708><loc0646> shoe");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].bins, (Bins{51, 309, 708, 646}));
  EXPECT_EQ(found[0].label, "shoe");
  EXPECT_TRUE(found[0].mask.empty());

  const Box box = pixel_box(found[0], 640, 480);
  EXPECT_NEAR(box.x_min, 193.31, 0.005);
  EXPECT_NEAR(box.y_min, 23.93, 0.005);
  EXPECT_NEAR(box.x_max, 404.14, 0.005);
  EXPECT_NEAR(box.y_max, 332.20, 0.005);
}

TEST(Detections, ReachBothEndsOfThePicture) {
  const Box box = pixel_box({{0, 0, 1023, 1023}, {}, ""}, 640, 480);
  EXPECT_EQ(box.x_min, 0);
  EXPECT_EQ(box.y_min, 0);
  EXPECT_DOUBLE_EQ(box.x_max, 640) << "639.4 if the divisor were 1024";
  EXPECT_DOUBLE_EQ(box.y_max, 480);
}

TEST(Detections, CountYBeforeX) {
  const Box box = pixel_box({{0, 341, 1023, 682}, {}, ""}, 300, 600);
  EXPECT_DOUBLE_EQ(box.x_min, 100);
  EXPECT_DOUBLE_EQ(box.x_max, 200);
  EXPECT_DOUBLE_EQ(box.y_max, 600);
}

// The blanks about the semicolon are not reliable (PaliGemma 2, figure 2).
TEST(Detections, AreSeparatedBySemicolons) {
  const Bins a{1, 2, 3, 4}, b{10, 20, 30, 40}, c{0, 0, 1023, 1023};
  for (const std::string between : {" ; ", ";", "; ", " ;"}) {
    const auto found = parse_detections(locs(a) + " cat" + between + locs(b) + " black dog" +
                                        between + locs(c) + " cat");
    ASSERT_EQ(found.size(), 3u) << between;
    EXPECT_EQ(found[0].bins, a);
    EXPECT_EQ(found[0].label, "cat");
    EXPECT_EQ(found[1].bins, b);
    EXPECT_EQ(found[1].label, "black dog");
    EXPECT_EQ(found[2].bins, c);
    EXPECT_EQ(found[2].label, "cat");
  }
}

TEST(Detections, NeedNoLabel) {
  const auto found =
      parse_detections(locs({1, 2, 3, 4}) + locs({5, 6, 7, 8}) + ";" + locs({9, 10, 11, 12}));
  ASSERT_EQ(found.size(), 3u);
  for (const auto& detection : found) EXPECT_EQ(detection.label, "");
  EXPECT_EQ(found[1].bins, (Bins{5, 6, 7, 8}));
}

TEST(Detections, HoldAMaskOfSixteenCodes) {
  for (const std::string blank : {"", " "}) {
    const auto found = parse_detections(locs({1, 2, 3, 4}) + blank + segs(100, 16) + " puffin ; " +
                                        locs({5, 6, 7, 8}) + segs(0, 16));
    ASSERT_EQ(found.size(), 2u);
    ASSERT_EQ(found[0].mask.size(), 16u);
    EXPECT_EQ(found[0].mask.front(), 100);
    EXPECT_EQ(found[0].mask.back(), 115);
    EXPECT_EQ(found[0].label, "puffin");
    EXPECT_EQ(found[1].mask.size(), 16u);
    EXPECT_EQ(found[1].label, "");
  }
}

TEST(Detections, LeaveOutAMaskThatIsNotWhole) {
  for (int count : {1, 15}) {
    const auto found = parse_detections(locs({1, 2, 3, 4}) + segs(0, count) + " cat");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_TRUE(found[0].mask.empty());
    EXPECT_EQ(found[0].label, "cat");
  }
  const auto many = parse_detections(locs({1, 2, 3, 4}) + segs(0, 17) + " cat");
  ASSERT_EQ(many.size(), 1u);
  EXPECT_EQ(many[0].mask.size(), 16u);
}

// The decoder has 128 codes, and takes no others.
TEST(Detections, LeaveOutAMaskOfACodeThatIsNone) {
  EXPECT_EQ(parse_detections(locs({1, 2, 3, 4}) + segs(112, 16))[0].mask.back(), 127);
  for (const std::string& mask : {segs(113, 16), segs(128, 1) + segs(0, 15), segs(985, 15)}) {
    const auto found = parse_detections(locs({1, 2, 3, 4}) + mask + " cat");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_TRUE(found[0].mask.empty()) << mask;
  }
}

TEST(Detections, PassOverOtherText) {
  EXPECT_TRUE(parse_detections("").empty());
  EXPECT_TRUE(parse_detections("a cow on the beach").empty());
  EXPECT_TRUE(parse_detections("; ; <seg000> <").empty());
  const auto found = parse_detections("two cats: " + locs({1, 2, 3, 4}) + " cat\nand more");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].label, "cat\nand more");
}

TEST(Detections, PassOverBoxesThatAreNotWhole) {
  const std::string whole = locs({1, 2, 3, 4});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_TRUE(parse_detections(whole.substr(0, size)).empty()) << size;
  }
  for (const std::string bad :
       {"<loc0001><loc0002><loc0003> cat ; ", "<loc1024>", "<loc9999>", "<loc 001>", "<loc00001>",
        "<loc001>", "<loc-001>", "<loc0001", "<loc0001x<loc0002x<loc0003x<loc0004x dog"}) {
    const auto found = parse_detections(bad + whole + " dog");
    ASSERT_EQ(found.size(), 1u) << bad;
    EXPECT_EQ(found[0].bins, (Bins{1, 2, 3, 4})) << bad;
    EXPECT_EQ(found[0].label, "dog") << bad;
  }
}

TEST(Detections, PassOverBoxesThatEndBeforeTheyBegin) {
  for (const Bins& bins :
       {Bins{5, 2, 5, 4}, Bins{5, 2, 4, 4}, Bins{1, 4, 3, 4}, Bins{1, 4, 3, 2}}) {
    const auto found = parse_detections(locs(bins) + " cat ; " + locs({1, 2, 3, 4}) + " dog");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].label, "dog");
  }
}

// As many <loc> as the answer's end left: four at a time, from the first.
TEST(Detections, TakeFourAtATime) {
  const auto found = parse_detections(locs({1, 2, 3, 4}) + "<loc0005><loc0006>");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].bins, (Bins{1, 2, 3, 4}));
}

}  // namespace
}  // namespace paligemma
