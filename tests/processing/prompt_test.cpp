#include "processing/prompt.h"

#include <gtest/gtest.h>

#include "tensor/errors.h"
#include "tests/support/source_dir.h"

namespace paligemma {
namespace {

// bos 2, newline 5, image 1790; "\n\n" is 6.
const std::string kModel = test::source_dir() + "/tests/golden/paligemma1/tokenizer.model";
constexpr TokenId kImage = 1790;

using Ids = std::vector<TokenId>;

class Prompts : public ::testing::Test {
 protected:
  Ids ids(std::string_view text, int images = 1) {
    return make_prompt(tokenizer_, text, images).ids;
  }
  std::string note(std::string_view text) { return make_prompt(tokenizer_, text, 1).note; }

  Tokenizer tokenizer_{kModel, kImage, 1856};
};

// docs/processing/prompt.md, "By hand".
TEST_F(Prompts, WorkedExample) {
  const Prompt prompt = make_prompt(tokenizer_, "caption en", 4);
  EXPECT_EQ(prompt.ids, (Ids{1790, 1790, 1790, 1790, 2, 405, 281, 5}));
  EXPECT_EQ(prompt.note, "");
  EXPECT_EQ(prompt_text(tokenizer_, prompt.ids), "[4 x <image>] <bos> caption ▁en \\n");
}

TEST_F(Prompts, PutTheImageFirstAndBosBehindIt) {
  for (int images : {0, 1, 256}) {
    const Ids made = ids("red", images);
    ASSERT_EQ(made.size(), static_cast<std::size_t>(images) + 3);
    for (int i = 0; i < images; ++i) EXPECT_EQ(made[i], kImage);
    EXPECT_EQ(Ids(made.begin() + images, made.end()), (Ids{2, 376, 5}));
  }
}

// In the original's test of an empty prompt the ids are the image's, bos and newline.
TEST_F(Prompts, MayBeEmpty) { EXPECT_EQ(ids(""), (Ids{kImage, 2, 5})); }

TEST_F(Prompts, EndWithANewlineOfItsOwn) {
  EXPECT_EQ(ids("red\nred"), (Ids{kImage, 2, 376, 5, 376, 5}));
  EXPECT_EQ(ids("red\n"), (Ids{kImage, 2, 376, 5, 5})) << "not 6, which is two in one token";
  EXPECT_EQ(ids("red\n\n"), (Ids{kImage, 2, 376, 6, 5}));
}

TEST_F(Prompts, SayThatANewlineWasTyped) {
  EXPECT_EQ(note("red"), "");
  EXPECT_EQ(note("red\nred"), "");
  EXPECT_EQ(note("red\n"),
            "the prompt ends in a newline of its own, and the one that ends every prompt follows");
}

TEST_F(Prompts, DropImageAndBosThatWereTyped) {
  const std::string dropped =
      "<image> and <bos> in the prompt were dropped: they are added for you";
  for (const std::string text :
       {"<image>red", "<bos>red", "<image><image><bos>red", "red<image>"}) {
    EXPECT_EQ(ids(text), ids("red")) << text;
    EXPECT_EQ(note(text), dropped) << text;
  }
}

TEST_F(Prompts, KeepBlanksAndCapitals) {
  EXPECT_EQ(ids(" red"), (Ids{kImage, 2, 377, 5}));
  EXPECT_EQ(tokenizer_.decode(ids("OCR  Red ")), "OCR  Red \n");
}

TEST_F(Prompts, HoldBoxes) {
  EXPECT_EQ(ids("caption <loc0000><loc0001><loc1022><loc1023>"),
            (Ids{kImage, 2, 405, tokenizer_.encode(" ")[0], 638, 639, 1660, 1661, 5}));
}

TEST_F(Prompts, AreUtf8) { EXPECT_THROW(ids("\xff"), PromptError); }

TEST_F(Prompts, AreShownWithEveryTokenApart) {
  EXPECT_EQ(prompt_text(tokenizer_, {2, 376, 6, 650, 1}),
            "[0 x <image>] <bos> red \n\n <loc0012> <eos>");
}

}  // namespace
}  // namespace paligemma
