#include "colpali/prompt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tensor/errors.h"
#include "tests/support/colpali_golden.h"

namespace paligemma::colpali {
namespace {

using namespace test;
using Ids = std::vector<TokenId>;

class ColpaliPrompt : public ::testing::Test {
 protected:
  Tokenizer tokenizer_{source_dir() + "/tests/golden/paligemma1", 1790, 1856};
};

// docs/colpali/prompt.md, "By hand".
TEST_F(ColpaliPrompt, WorkedExample) {
  EXPECT_EQ(page_ids(tokenizer_, kQuestion, 2),
            (Ids{1790, 1790, 2, 597, 292, 427, 274, 429, 567, 5}));
  EXPECT_EQ(query_ids(tokenizer_, kQuestion, "table"),
            (Ids{2, 605, 558, 292, 338, 575, 268, 545, 561, 275, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5}));
}

// Of both originals.
TEST_F(ColpaliPrompt, IsTheOriginals) {
  for (const char* name : {"hf", "adapter", "merged"}) {
    const ColpaliCase golden(name);
    const auto said = nlohmann::json::parse(golden.text);
    const auto expected = said["page_ids"].get<Ids>();
    const auto patches = static_cast<int>(std::count(expected.begin(), expected.end(), 1790));
    EXPECT_EQ(page_ids(tokenizer_, golden.form(), patches), expected) << name;
    ASSERT_EQ(said["queries"].size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
      const auto text = said["queries"][i].get<std::string>();
      EXPECT_EQ(query_ids(tokenizer_, golden.form(), text), said["query_ids"][i].get<Ids>())
          << text;
    }
  }
}

TEST_F(ColpaliPrompt, EachFormHasItsBeginningAndItsEnd) {
  const auto ends = [&](const PromptForm& form) {
    return query_ids(tokenizer_, form, "table").back();
  };
  EXPECT_EQ(ends(kQuestion), 5);
  EXPECT_EQ(ends(kQuery), 5);
  EXPECT_EQ(ends(kPlain), 0);
  EXPECT_EQ(page_ids(tokenizer_, kQuery, 0), (Ids{2, 2, 597, 292, 427, 274, 429, 567, 5}));
  EXPECT_EQ(page_ids(tokenizer_, kPlain, 0), page_ids(tokenizer_, kQuery, 0));
  Ids plain{2};
  for (const TokenId id : tokenizer_.encode("table")) plain.push_back(id);
  plain.insert(plain.end(), 10, 0);
  EXPECT_EQ(query_ids(tokenizer_, kPlain, "table"), plain);
}

TEST(ColpaliForm, IsNamed) {
  EXPECT_EQ(form_named("question"), &kQuestion);
  EXPECT_EQ(form_named("query"), &kQuery);
  EXPECT_EQ(form_named("plain"), &kPlain);
  EXPECT_EQ(form_named("Question"), nullptr);
  EXPECT_EQ(form_named(""), nullptr);
}

TEST_F(ColpaliPrompt, NothingIsStripped) {
  EXPECT_NE(query_ids(tokenizer_, kPlain, " table "), query_ids(tokenizer_, kPlain, "table"));
  EXPECT_EQ(query_ids(tokenizer_, kPlain, "").size(), 11u);
}

// "Question: table" is 605 558 292 338 575, and 268 545 561 275. A blank may join what stands behind it.
TEST_F(ColpaliPrompt, SaysWhichRowsAreTheText) {
  using Rows = std::pair<Index, Index>;
  EXPECT_EQ(text_rows(tokenizer_, kQuestion, "table"), Rows(6, 10));
  EXPECT_EQ(text_rows(tokenizer_, kPlain, "table"), Rows(1, 5));
  const auto [begin, end] = text_rows(tokenizer_, kQuestion, "");
  EXPECT_EQ(begin, end);
  for (const char* text : {"table", "what is", " a"}) {
    for (const PromptForm* form : {&kQuestion, &kQuery, &kPlain}) {
      const auto ids = query_ids(tokenizer_, *form, text);
      const auto [first, last] = text_rows(tokenizer_, *form, text);
      EXPECT_EQ(std::ssize(ids) - last, form->has_newline ? 11 : 10);
      const Ids typed(ids.begin() + first, ids.begin() + last);
      EXPECT_NE(tokenizer_.decode(typed).find(text[1]), std::string::npos) << text;
    }
  }
}

TEST_F(ColpaliPrompt, RefusesAPictureAndWhatIsNoText) {
  EXPECT_THROW(query_ids(tokenizer_, kQuery, "a <image> of a cat"), PromptError);
  EXPECT_THROW(query_ids(tokenizer_, kQuery, "\xff"), PromptError);
}

}  // namespace
}  // namespace paligemma::colpali
