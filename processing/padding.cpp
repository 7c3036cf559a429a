#include "processing/padding.h"

#include <algorithm>
#include <string>
#include <utility>

#include "tensor/errors.h"

namespace paligemma {
namespace {

std::size_t length(const PromptAndAnswer& row) { return row.prompt.size() + row.answer.size(); }

std::size_t longest(std::span<const PromptAndAnswer> rows) {
  std::size_t T = 0;
  for (const PromptAndAnswer& row : rows) T = std::max(T, length(row));
  return T;
}

// So many of one number, then of another, and so on.
template <class Number>
struct Run {
  std::size_t count;
  Number number;
};
template <class Number>
std::vector<Number> runs(std::initializer_list<Run<Number>> all) {
  std::vector<Number> row;
  for (const auto& [count, number] : all) row.insert(row.end(), count, number);
  return row;
}

template <class Number>
void append(std::vector<Number>& row, const std::vector<Number>& more) {
  row.insert(row.end(), more.begin(), more.end());
}

std::vector<PromptAndAnswer> rows_of(const Rows<TokenId>& ids, const Rows<int>& is_token,
                                     const Rows<int>& is_answer, bool pads_are_left) {
  std::vector<PromptAndAnswer> rows;
  const auto require = [&](bool holds, const char* what) {
    if (!holds)
      throw PromptError("row " + std::to_string(rows.size()) + " of a padded batch: " + what);
  };
  require(is_token.size() == ids.size() && is_answer.size() == ids.size(),
          "there are not as many masks as rows");
  for (std::size_t b = 0; b < ids.size(); ++b) {
    const std::size_t T = ids[b].size();
    require(is_token[b].size() == T && is_answer[b].size() == T, "a mask is of another length");
    PromptAndAnswer row;
    for (std::size_t t = 0; t < T; ++t) {
      if (is_token[b][t] == 0) {
        require(!pads_are_left || length(row) == 0, "a pad behind a token");
        continue;
      }
      require(pads_are_left || t == length(row), "a token behind a pad");
      require(is_answer[b][t] != 0 || row.answer.empty(), "a prompt behind an answer");
      (is_answer[b][t] == 0 ? row.prompt : row.answer).push_back(ids[b][t]);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

LeftPadded pad_left(std::span<const PromptAndAnswer> rows) {
  const std::size_t T = longest(rows);
  LeftPadded batch;
  for (const PromptAndAnswer& row : rows) {
    const std::size_t pads = T - length(row), prompt = row.prompt.size(),
                      answer = row.answer.size();
    auto& ids = batch.input_ids.emplace_back(pads, kPad);
    append(ids, row.prompt);
    append(ids, row.answer);
    batch.attention_mask.push_back(runs<int>({{pads, 0}, {prompt + answer, 1}}));
    batch.token_type_ids.push_back(runs<int>({{pads + prompt, 0}, {answer, 1}}));
    auto& positions = batch.position_ids.emplace_back(pads, 1);
    for (std::size_t t = 0; t < prompt + answer; ++t) positions.push_back(static_cast<int>(t) + 1);
    append(batch.labels.emplace_back(pads + prompt, kNotLearned), row.answer);
  }
  return batch;
}

RightPadded pad_right(std::span<const PromptAndAnswer> rows) {
  const std::size_t T = longest(rows);
  RightPadded batch;
  for (const PromptAndAnswer& row : rows) {
    const std::size_t pads = T - length(row), prompt = row.prompt.size(),
                      answer = row.answer.size();
    auto& ids = batch.token_ids.emplace_back(row.prompt);
    append(ids, row.answer);
    ids.insert(ids.end(), pads, kPad);
    batch.padding_mask.push_back(runs<int>({{prompt + answer, 1}, {pads, 0}}));
    batch.response_mask.push_back(runs<int>({{prompt, 0}, {answer, 1}, {pads, 0}}));
    auto& labels = batch.labels.emplace_back(ids.begin() + (T > 0), ids.end());
    labels.resize(T, kPad);
    auto& weights = batch.weights.emplace_back(batch.response_mask.back());
    std::rotate(weights.begin(), weights.begin() + (T > 0), weights.end());
    if (T > 0) weights.back() = 0;  // behind the last there is none
  }
  return batch;
}

std::vector<PromptAndAnswer> unpadded(const LeftPadded& batch) {
  return rows_of(batch.input_ids, batch.attention_mask, batch.token_type_ids, true);
}

std::vector<PromptAndAnswer> unpadded(const RightPadded& batch) {
  return rows_of(batch.token_ids, batch.padding_mask, batch.response_mask, false);
}

}  // namespace paligemma
