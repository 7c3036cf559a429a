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

TEST_F(Prompts, DropABosThatWasTyped) {
  for (const std::string text : {"<bos>red", "<image><bos>red", "<bos><bos>red"}) {
    EXPECT_EQ(ids(text), ids("red")) << text;
    EXPECT_EQ(note(text), "<bos> in the prompt was dropped: it is added for you") << text;
  }
}

// As the processor of transformers 5.23.0 has them.
TEST_F(Prompts, SayWhereThePicturesStand) {
  const auto of = [&](std::string_view text, int pictures) {
    return make_prompt(tokenizer_, text, 2, pictures).ids;
  };
  EXPECT_EQ(of("<image>red", 1), of("red", 1));
  EXPECT_EQ(note("<image>red"), "");
  EXPECT_EQ(of("red<image>red", 1), (Ids{376, kImage, kImage, 2, 376, 5}));
  EXPECT_EQ(of("red<image>", 1), (Ids{376, kImage, kImage, 2, 5}));
  EXPECT_EQ(of("<image> red", 1), (Ids{kImage, kImage, 2, 377, 5})) << "the blank stays";
  EXPECT_EQ(of("red", 2), (Ids{kImage, kImage, kImage, kImage, 2, 376, 5}));
  EXPECT_EQ(of("<image><image>red", 2), of("red", 2));
  EXPECT_EQ(of("<image>red<image>red", 2), (Ids{kImage, kImage, 376, kImage, kImage, 2, 376, 5}));
}

TEST_F(Prompts, HaveAPlaceForEachPicture) {
  for (const auto& [text, pictures] :
       {std::pair{"<image><image>", 1}, {"<image>", 2}, {"<image>", 0}}) {
    EXPECT_THROW(make_prompt(tokenizer_, text, 4, pictures), PromptError) << text;
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
  EXPECT_EQ(prompt_text(tokenizer_, make_prompt(tokenizer_, "red<image>red<image>", 3, 2).ids),
            "red [3 x <image>] red [3 x <image>] <bos> \\n");
  EXPECT_EQ(prompt_text(tokenizer_, {2, 376, 6, 650, 1}), "<bos> red \n\n <loc0012> <eos>");
}

}  // namespace
}  // namespace paligemma
