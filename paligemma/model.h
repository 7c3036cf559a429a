// PaliGemma: the vision tower, the projector and the language model, joined.
//
//   image rows = projector( encoder( pixels ) )                                 once per picture
//   x          = [ image rows ; token_embedding(<bos> prompt "\n") ]            once per prompt
//   logits     = decoder( x ), then one token at a time
//
//   pixels      [R, R, 3]
//   image rows  [L, D]      enter the decoder as they are; words are multiplied by sqrt(D)
//   prompt      T ids, of which as many as there are image rows are the image token and stand for these
//
// Paper: Beyer et al. 2024, "PaliGemma", section 3.1 and figure 2. Taps: img/..., llm/..., logits.
//
// Read next: paligemma/generate.h.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "gemma/logits.h"
#include "paligemma/config.h"
#include "paligemma/projector.h"
#include "paligemma/weights.h"
#include "siglip/pooling.h"
#include "tensor/lora.h"

namespace paligemma {

template <class On, class W>
struct Model {
  On on;
  siglip::EncoderShape vision;
  gemma::DecoderShape text;
  TokenId image_token;
  ModelWeights<W> weights;
  std::shared_ptr<const void> memory = nullptr;  // of the weights, if nobody else keeps it
  ProjectorActivation projector_activation = ProjectorActivation::none;
};

// The picture as rows of the language model. Other pictures may use the same scratch.
template <class On, class W, class Pixels, class Tap>
BufferOn<On, float, 2> encode_image(const Model<On, W>& model, const Pixels& pixels,
                                    siglip::EncoderScratch<On>& scratch, const Tap& tap) {
  siglip::encoder(model.on, model.weights.vision, model.vision, pixels, scratch, tap.in("img"));

  BufferOn<On, float, 2> image_rows({model.vision.patches(), model.text.width}, unwritten);
  projector(model.on, scratch.normed.view(), model.weights.projector, image_rows.view());
  activate(model.on, model.projector_activation, image_rows.view());
  tap.in("img")("head", image_rows.view());
  return image_rows;
}

// The picture as one row, or as all of them: of the vision tower, or projected as above.
template <class On, class W, class Pixels, class Tap>
BufferOn<On, float, 2> embed_image(const Model<On, W>& model, const Pixels& pixels,
                                   siglip::Pool pool, bool is_projected,
                                   siglip::EncoderScratch<On>& scratch, const Tap& tap) {
  siglip::encoder(model.on, model.weights.vision, model.vision, pixels, scratch, tap.in("img"));
  const auto rows =
      siglip::pooled(model.on, pool, model.weights.head, model.vision, scratch, tap.in("img"));

  const Index width = is_projected ? model.text.width : model.vision.width;
  BufferOn<On, float, 2> embedding({rows.size(0), width}, unwritten);
  if (is_projected) {
    projector(model.on, rows, model.weights.projector, embedding.view());
    activate(model.on, model.projector_activation, embedding.view());
    tap.in("img")("head", embedding.view());
  } else {
    copy(model.on, rows, embedding.view());
  }
  return embedding;
}

// What an executor keeps of an answer from token to token besides. It may specialise this.
template <class On>
struct DecodeState {};

// The activations and the memory of an answer; of one at a time, others may follow.
template <class On>
struct Session {
  gemma::DecoderScratch<On> scratch;
  KvCache<On> cache;
  SequenceId sequence;
  DecodeState<On> decode = {};

  // For prefixes of up to `prefix` tokens and answers that end before position `capacity`; of `answers` that
  // grow side by side.
  Session(const gemma::DecoderShape& shape, Index prefix, Index capacity, Index answers = 1)
      : scratch(shape, std::max(prefix, answers), answers),
        cache(shape.layers, shape.kv_heads, shape.head_size),
        sequence(cache.open(capacity)) {}
};

// Words as rows of the language model: of the table, as an adapter has it.
template <class On, class W, class Rows>
void embed_words(const Model<On, W>& model, View<const TokenId, 1> ids, const Rows& x) {
  token_embedding(model.on, ids, model.weights.text.embedding, model.text.embedding_scale, x);
  const auto* adapter = model.weights.text.embedding_adapter;
  if (adapter == nullptr) return;
  ScratchOn<On, float, 2> low(model.on, {ids.size(0), adapter->a.size(1)});
  token_embedding(model.on, ids, adapter->a, 1.0f, low.view());
  add_low_rank(model.on, low.view(), *adapter, x);
}

// Further tokens of some sequences, in one step. Leaves the logits of every row in session.scratch.logits, which
// has room for them.
template <class On, class W>
void forward_step(const Model<On, W>& model, std::span<const TokenId> ids, gemma::Step step,
                  Session<On>& session) {
  const auto T = static_cast<Index>(ids.size());
  embed_words(model, {ids.data(), {T}}, session.scratch.x.view().rows(0, T));
  gemma::decoder(model.on, model.weights.text, model.text, step, session.scratch, session.cache,
                 NoTap());
  std::vector<Index> rows(ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  gemma::logits(model.on, model.weights.text, model.text, rows, session.scratch);
}

// Runs tokens through the decoder and leaves its rows in session.scratch.normed. Where there are image rows, as
// many ids are image tokens, whose places the rows take in their order. `prefix` tokens of the whole sequence see
// one another both ways.
template <class On, class W, class Rows, class Tap>
void forward_rows(const Model<On, W>& model, std::span<const TokenId> ids, const Rows& image_rows,
                  Index prefix, Session<On>& session, const Tap& tap) {
  const auto T = static_cast<Index>(ids.size()), L = image_rows.size(0);
  PG_CHECK(T > L, "there is a token behind the picture");
  const auto stands_for_a_row = [&](TokenId id) { return L > 0 && id == model.image_token; };
  const Index image_tokens = std::count_if(ids.begin(), ids.end(), stands_for_a_row);
  PG_CHECK(image_tokens == L,
           std::to_string(image_tokens) + " image tokens, image rows " + shape_text(image_rows));
  const auto x = session.scratch.x.view().rows(0, T);
  for (Index begin = 0, end = 0, row = 0; begin < T; begin = end) {  // words, or rows of pictures
    const bool is_picture = stands_for_a_row(ids[begin]);
    while (end < T && stands_for_a_row(ids[end]) == is_picture) ++end;
    if (is_picture) {
      copy(model.on, image_rows.rows(row, row + end - begin), x.rows(begin, end));
      row += end - begin;
    } else {
      embed_words(model, {ids.data() + begin, {end - begin}}, x.rows(begin, end));
    }
  }

  const gemma::Segment all{session.sequence, session.cache.length(session.sequence), T, prefix};
  gemma::decoder(model.on, model.weights.text, model.text, all, session.scratch, session.cache,
                 tap.in("llm"));
}

// The same, and the logits of the last token in session.scratch.logits.
template <class On, class W, class Rows, class Tap>
void forward(const Model<On, W>& model, std::span<const TokenId> ids, const Rows& image_rows,
             Index prefix, Session<On>& session, const Tap& tap) {
  forward_rows(model, ids, image_rows, prefix, session, tap);
  gemma::logits(model.on, model.weights.text, model.text, std::array{std::ssize(ids) - 1},
                session.scratch);
  tap("logits", session.scratch.logits.view());
}

}  // namespace paligemma
