// ColPali: a page, or a query, as rows of length 1, one for each of its tokens.
//
//   h = decoder( x )           PaliGemma's, behind its last norm; every row sees every row
//   e[t] = W h[t] + b          the projection
//   rows[t] = e[t] / |e[t]|
//
//   x     [T, D]   of a page its patches and a few words, of a query words alone (colpali/prompt.h)
//   rows  [T, W]   W = 128 in what is published
//
// Nothing is answered, so there are no logits; every row is kept, of words that everyone says too.
//
// Paper: Faysse et al. 2024, "ColPali", section 4.2; Khattab & Zaharia 2020, "ColBERT", section 3.2. Taps: img/...,
// llm/..., embeddings.
//
// Read next: colpali/prompt.h.
#pragma once

#include <span>
#include <utility>

#include "paligemma/answer_memory.h"
#include "paligemma/model.h"
#include "tensor/unit_rows.h"

namespace paligemma::colpali {

// Where there are image rows, as many ids are image tokens.
template <class On, class W, class ImageRows, class Tap>
BufferOn<On, float, 2> encode(const Model<On, W>& model, std::span<const TokenId> ids,
                              const ImageRows& image_rows, AnswerMemory<On>& memory,
                              const Tap& tap) {
  const Index T = std::ssize(ids);
  auto session = memory.take_session(model.text, T, T);
  session->cache.truncate(session->sequence, 0);
  forward_rows(model, ids, image_rows, T, *session, tap);

  const auto& projection = model.weights.retrieval;
  const auto no_scale = typename WeightsOn<On, float>::Vector{};
  BufferOn<On, float, 2> rows({T, projection.weight.size(0)}, unwritten);
  linear(model.on, session->scratch.normed.view().rows(0, T), projection, rows.view());
  unit_rows(model.on, std::as_const(rows).view(), UnitRule{}, no_scale, rows.view());
  tap("embeddings", rows.view());
  memory.give_back(std::move(session));
  return rows;
}

template <class On, class W, class Pixels, class Tap>
BufferOn<On, float, 2> encode_page(const Model<On, W>& model, const Pixels& pixels,
                                   std::span<const TokenId> ids, AnswerMemory<On>& memory,
                                   const Tap& tap) {
  const auto image_rows = encode_image(model, pixels, memory.encoder_scratch(model.vision), tap);
  return encode(model, ids, image_rows.view(), memory, tap);
}

template <class On, class W, class Tap>
BufferOn<On, float, 2> encode_query(const Model<On, W>& model, std::span<const TokenId> ids,
                                    AnswerMemory<On>& memory, const Tap& tap) {
  const BufferOn<On, float, 2> no_rows({0, model.text.width});
  return encode(model, ids, no_rows.view(), memory, tap);
}

}  // namespace paligemma::colpali
