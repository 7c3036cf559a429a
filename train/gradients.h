// Gradients: how the loss of a batch changes with every number that is learned.
//
//   x     = [ projector( encoder( pixels ) ) ; token_embedding( words ) ]     of every sequence, one behind the other
//   loss  = next_token_loss( decoder( x ) )
//   and back through each of them, the last one first
//
// A sequence is a picture and a prompt, which see one another both ways, and the suffix that is learned, which sees
// what came before it. Nothing is padded. The gradients are added to what is there, so that a batch may come in
// parts; the mean over its tokens is in the weights of `next`.
//
// Paper: Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors"; Beyer et al. 2024,
// "PaliGemma", section 3.1 and figure 2.
//
// Read next: train/next_token_loss.h.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "paligemma/model.h"
#include "tensor/recompute.h"
#include "train/next_token_loss.h"

namespace paligemma {

struct TrainingBatch {
  Buffer<float, 4> pixels{{0, 0, 0, 0}};  // [P, R, R, 3]: pictures in the order of their tokens
  std::vector<TokenId> ids;  // of every sequence; image tokens stand for rows of pictures
  std::vector<gemma::Segment> segments;  // one for each sequence, from position 0 on
  NextTokens next;                       // rows count over all sequences
  std::uint64_t number = 0;              // of the batch in its run, which dropout draws by
};

inline View<const TokenId, 1> words_of(const TrainingBatch& batch, Index begin, Index end) {
  return {batch.ids.data() + begin, {end - begin}};
}

// Calls of_picture(begin, end, row) or of_words(begin, end) for runs of ids, rows of pictures in their order.
template <class OfPicture, class OfWords>
void for_each_run(const std::vector<TokenId>& ids, TokenId image_token, const OfPicture& of_picture,
                  const OfWords& of_words) {
  const auto R = static_cast<Index>(ids.size());
  const auto is_picture = [&](Index i) { return ids[static_cast<std::size_t>(i)] == image_token; };
  for (Index begin = 0, end = 0, row = 0; begin < R; begin = end) {
    while (end < R && is_picture(end) == is_picture(begin)) ++end;
    if (is_picture(begin)) {
      of_picture(begin, end, row);
      row += end - begin;
    } else {
      of_words(begin, end);
    }
  }
}

struct LearningRule {
  Recompute recompute = Recompute::none;
  float smoothing = 0;     // of labels (train/cross_entropy.h)
  float dropout = 0;       // its rate (tensor/dropout.h)
  std::uint64_t seed = 0;  // and its seed
};

// What a step keeps of a batch on its way there.
template <class On>
struct BatchActivations {
  std::optional<siglip::EncoderActivations<On>> image;  // of a tower that is learned
  BufferOn<On, float, 2> encoded;                       // [P L, D] of the vision tower
  gemma::DecoderActivations<On> text;

  template <class W>
  BatchActivations(const Model<On, W>& model, const TrainingBatch& batch, bool sees,
                   const LearningRule& rule)
      : encoded({batch.pixels.view().size(0) * model.vision.patches(), model.vision.width},
                unwritten),
        text(model.text, static_cast<Index>(batch.ids.size()), rule.recompute) {
    text.dropout = {rule.dropout, rule.seed, batch.number};
    if (sees) image.emplace(model.vision, batch.pixels.view().size(0), rule.recompute);
  }
};

// Leaves kept.text.normed, what the decoder made of all tokens.
template <class On, class W>
void forward(const On& on, const Model<On, W>& model, const TrainingBatch& batch,
             BatchActivations<On>& kept) {
  PG_CHECK(model.projector_activation == ProjectorActivation::none,
           "a projector with an activation is not learned");
  const Index pictures = batch.pixels.view().size(0), L = model.vision.patches();
  const Index image_tokens = std::count(batch.ids.begin(), batch.ids.end(), model.image_token);
  PG_CHECK(image_tokens == pictures * L, std::to_string(image_tokens) + " image tokens, " +
                                             std::to_string(pictures) + " pictures");
  if (kept.image) {
    siglip::encoder(on, model.weights.vision, model.vision, batch.pixels.view(), *kept.image);
    copy(on, kept.image->normed.view(), kept.encoded.view());
  } else {
    siglip::EncoderScratch<On> scratch(model.vision);
    for (Index p = 0; p < pictures; ++p) {
      siglip::encoder(on, model.weights.vision, model.vision, batch.pixels.view().row(p), scratch,
                      NoTap());
      copy(on, scratch.normed.view(), kept.encoded.view().rows(p * L, (p + 1) * L));
    }
  }
  BufferOn<On, float, 2> image_rows({pictures * L, model.text.width}, unwritten);
  projector(on, kept.encoded.view(), model.weights.projector, image_rows.view());
  const auto x = kept.text.x[0].view();
  for_each_run(
      batch.ids, model.image_token,
      [&](Index begin, Index end, Index row) {
        copy(on, image_rows.view().rows(row, row + end - begin), x.rows(begin, end));
      },
      [&](Index begin, Index end) {
        embed_words(model, words_of(batch, begin, end), x.rows(begin, end));
      });
  gemma::decoder(on, model.weights.text, model.text, gemma::Step(batch.segments), kept.text);
}

// The loss of the batch. What dw has views of nothing for is not learned, and has no products on the way back.
template <class On, class W, class Gradients>
double gradients(const On& on, const Model<On, W>& model, const TrainingBatch& batch,
                 const LearningRule& rule, const ModelWeights<Gradients>& dw) {
  const bool sees = siglip::is_learned(dw.vision);
  BatchActivations<On> kept(model, batch, sees, rule);
  forward(on, model, batch, kept);
  const auto R = static_cast<Index>(batch.ids.size());
  BufferOn<On, float, 2> dnormed({R, model.text.width}), dx({R, model.text.width});
  const double loss = next_token_loss(on, model.weights.text, model.text, kept.text.normed.view(),
                                      batch.next, rule.smoothing, dnormed.view(), dw.text.head);

  gemma::decoder_backward(on, model.weights.text, model.text, gemma::Step(batch.segments),
                          kept.text, dnormed.view(), dx.view(), dw.text);
  BufferOn<On, float, 2> dimage_rows({kept.encoded.view().size(0), model.text.width}, unwritten);
  for_each_run(
      batch.ids, model.image_token,
      [&](Index begin, Index end, Index row) {
        copy(on, dx.view().rows(begin, end), dimage_rows.view().rows(row, row + end - begin));
      },
      [&](Index begin, Index end) {
        if (dw.text.embedding.data() == nullptr) return;
        token_embedding_backward(on, words_of(batch, begin, end), model.text.embedding_scale,
                                 dx.view().rows(begin, end), dw.text.embedding);
      });
  BufferOn<On, float, 2> dencoded({sees ? kept.encoded.view().size(0) : 0, model.vision.width});
  projector_backward(on, kept.encoded.view(), model.weights.projector, dimage_rows.view(),
                     sees ? dencoded.view() : decltype(dencoded.view())(), dw.projector);
  if (sees) {
    siglip::encoder_backward(on, model.weights.vision, model.vision, batch.pixels.view(),
                             *kept.image, dencoded.view(), dw.vision);
  }
  return loss;
}

// The loss alone, of a batch that is not learned from.
template <class On, class W>
double loss_of(const On& on, const Model<On, W>& model, const TrainingBatch& batch) {
  BatchActivations<On> kept(model, batch, false, {.recompute = Recompute::blocks});
  forward(on, model, batch, kept);
  return next_token_loss(on, model.weights.text, model.text, kept.text.normed.view(), batch.next, 0,
                         BufferOn<On, float, 2>({0, 0}).view(), Linear<HostGradients>());
}

}  // namespace paligemma
