// Prompts of ColPali: the words beside a page, and around a query.
//
//   page    <image> x L   <bos>   "Describe the image."   "\n"          question
//           <image> x L   <bos> <bos>   "Describe the image."   "\n"    query, plain
//
//   query   <bos>   "Question: " text   <pad> x 10   "\n"               question
//           <bos>   "Query: " text      <pad> x 10   "\n"               query
//           <bos>   text                <pad> x 10                      plain
//
// Three forms, since the originals changed theirs, and a model knows the one that it was trained with: transformers
// and the first releases of colpali-engine ask a question, 0.3.4 to 0.3.10 a query, later ones plainly. From 0.3.4 on
// a page has <bos> twice: the prompt spells one, and PaliGemma's processor adds its own. <pad> is looked at like a
// word ("query augmentation"). A query is what was typed: nothing is stripped.
//
// Source: transformers 5.23.0, ColPaliProcessor; colpali-engine 0.3.2 to 0.3.18. Khattab & Zaharia 2020, "ColBERT",
// section 3.2, for the padding.
//
// Read next: colpali/max_sim.h.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processing/tokenizer.h"
#include "tensor/view.h"

namespace paligemma::colpali {

struct PromptForm {
  int page_bos;
  std::string_view query_prefix;
  bool has_newline;  // behind a query
};

inline constexpr PromptForm kQuestion{1, "Question: ", true}, kQuery{2, "Query: ", true},
    kPlain{2, "", false};

// "question", "query" or "plain"; null for any other name.
const PromptForm* form_named(std::string_view name);

std::vector<TokenId> page_ids(const Tokenizer& tokenizer, const PromptForm& form, int image_tokens);

// Throws PromptError if the text is not UTF-8, or says <image>.
std::vector<TokenId> query_ids(const Tokenizer& tokenizer, const PromptForm& form,
                               std::string_view text);

// Which of these ids stand for the text: from the first to before the second.
std::pair<Index, Index> text_rows(const Tokenizer& tokenizer, const PromptForm& form,
                                  std::string_view text);

}  // namespace paligemma::colpali
