// Padding: rows of other lengths as the rectangles that other programs have, and back.
//
//   left, as Hugging Face transformers      pad pad <image> x L <bos> prompt \n  answer <eos>
//   right, as keras_hub                     <bos> prompt  answer <eos>  pad pad
//
// Here nothing is padded: a batch is segments of a step (gemma/step.h), each with the length of its prefix, and
// that says who sees whom. These are the same, told by masks:
//
//                    transformers                          keras_hub
//   is a token       attention_mask                        padding_mask
//   is of an answer  token_type_ids                        response_mask
//   place            position_ids, from 1; pads 1          from 0, pads count
//   is learned       labels: the id, or -100               labels: the next id; weights: the next response_mask
//   query t sees s   both of type 0, or s <= t             s is a prompt's, or s <= t and an answer's
//
// A pad is id 0 and nobody sees it. keras_hub's ids have no image tokens: pictures stand in front of them.
//
// Source: transformers 5.23.0, processing_paligemma.py, generation/utils.py; keras_hub 0.32.0,
// pali_gemma_causal_lm_preprocessor.py, pali_gemma_decoder_block.py.
//
// Read next: processing/tokenizer.h.
#pragma once

#include <span>
#include <vector>

#include "processing/tokenizer.h"

namespace paligemma {

struct PromptAndAnswer {
  std::vector<TokenId> prompt,
      answer;  // the answer with its end token; empty if it is to be written
  bool operator==(const PromptAndAnswer&) const = default;
};

template <class Number>
using Rows = std::vector<std::vector<Number>>;  // all of the same length

struct LeftPadded {  // [B, T]
  Rows<TokenId> input_ids;
  Rows<int> attention_mask, token_type_ids, position_ids;
  Rows<TokenId> labels;  // of the same place
};
struct RightPadded {  // [B, T]
  Rows<TokenId> token_ids;
  Rows<int> padding_mask, response_mask;
  Rows<TokenId> labels;  // of the next place
  Rows<int> weights;
};

inline constexpr TokenId kPad = 0, kNotLearned = -100;

// As wide as the longest.
LeftPadded pad_left(std::span<const PromptAndAnswer> rows);
RightPadded pad_right(std::span<const PromptAndAnswer> rows);

// What is padded, by its masks alone. Throws PromptError if they are no prompt and an answer between pads.
std::vector<PromptAndAnswer> unpadded(const LeftPadded& batch);
std::vector<PromptAndAnswer> unpadded(const RightPadded& batch);

}  // namespace paligemma
