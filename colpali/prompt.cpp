#include "colpali/prompt.h"

#include <algorithm>
#include <array>
#include <utility>

#include "tensor/errors.h"

namespace paligemma::colpali {
namespace {

constexpr TokenId kPad = 0;  // of every tokenizer of Gemma
constexpr int kPads = 10;

void append(std::vector<TokenId>& ids, const std::vector<TokenId>& more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

}  // namespace

const PromptForm* form_named(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, const PromptForm*>, 3> kForms{
      {{"question", &kQuestion}, {"query", &kQuery}, {"plain", &kPlain}}};
  const auto found = std::find_if(kForms.begin(), kForms.end(),
                                  [&](const auto& form) { return form.first == name; });
  return found == kForms.end() ? nullptr : found->second;
}

std::vector<TokenId> page_ids(const Tokenizer& tokenizer, const PromptForm& form,
                              int image_tokens) {
  std::vector<TokenId> ids(static_cast<std::size_t>(image_tokens), tokenizer.image());
  ids.insert(ids.end(), static_cast<std::size_t>(form.page_bos), tokenizer.bos());
  append(ids, tokenizer.encode("Describe the image."));
  ids.push_back(tokenizer.newline());
  return ids;
}

std::vector<TokenId> query_ids(const Tokenizer& tokenizer, const PromptForm& form,
                               std::string_view text) {
  std::vector<TokenId> ids{tokenizer.bos()};
  append(ids, tokenizer.encode(std::string(form.query_prefix) + std::string(text)));
  if (std::find(ids.begin(), ids.end(), tokenizer.image()) != ids.end()) {
    throw PromptError("a query is words alone, and this one says <image>");
  }
  ids.insert(ids.end(), kPads, kPad);
  if (form.has_newline) ids.push_back(tokenizer.newline());
  return ids;
}

std::pair<Index, Index> text_rows(const Tokenizer& tokenizer, const PromptForm& form,
                                  std::string_view text) {
  const auto prefix = tokenizer.encode(form.query_prefix),
             all = tokenizer.encode(std::string(form.query_prefix) + std::string(text));
  const auto begin = std::mismatch(prefix.begin(), prefix.end(), all.begin(), all.end()).second;
  return {1 + (begin - all.begin()), 1 + std::ssize(all)};  // behind <bos>
}

}  // namespace paligemma::colpali
