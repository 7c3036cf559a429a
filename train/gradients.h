// Gradients: how the loss of a batch changes with every number that is learned.
//
//   x     = [ projector( encoder( pixels ) ) ; token_embedding( words ) ]     of every sequence, one behind the other
//   loss  = next_token_loss( decoder( x ) )
//   and back through each of them, the last one first
//
// A sequence is a picture and a prompt, which see one another both ways, and the suffix that is learned, which sees
// what came before it. Nothing is padded. Several sequences may be about one picture, which is then encoded once. The
// gradients are added to what is there, so that a batch may come in parts; the mean over its tokens is in the weights
// of `next`.
//
// The vision tower may learn from a dense head, too (train/dense_head.h), or from it alone, of a batch without ids.
//
// Paper: Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors"; Beyer et al. 2024,
// "PaliGemma", section 3.1 and figure 2.
//
// Read next: train/dense_head.h.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "paligemma/model.h"
#include "tensor/recompute.h"
#include "train/dense_head.h"
#include "train/next_token_loss.h"

namespace paligemma {

struct TrainingBatch {
  Buffer<float, 4> pixels{{0, 0, 0, 0}};  // [P, R, R, 3]
  std::vector<Index> shown;  // the picture of each L image tokens; without any, all in their order
  std::vector<TokenId> ids;  // of every sequence; image tokens stand for rows of pictures
  std::vector<gemma::Segment> segments;  // one for each sequence, from position 0 on
  NextTokens next;                       // rows count over all sequences
  std::uint64_t number = 0;              // of the batch in its run, which dropout draws by
  Index first_row = 0;                   // of a part of a batch, which dropout counts rows by
  std::optional<DenseTargets> dense;     // of all patches of all pictures
};

inline View<const TokenId, 1> words_of(const TrainingBatch& batch, Index begin, Index end) {
  return {batch.ids.data() + begin, {end - begin}};
}

// Calls of_picture(begin, picture) for each L image tokens and of_words(begin, end) for runs of words.
template <class OfPicture, class OfWords>
void for_each_run(const TrainingBatch& batch, TokenId image_token, Index L,
                  const OfPicture& of_picture, const OfWords& of_words) {
  const auto R = static_cast<Index>(batch.ids.size());
  const auto is_picture = [&](Index i) {
    return batch.ids[static_cast<std::size_t>(i)] == image_token;
  };
  Index pictures = 0;
  for (Index begin = 0, end = 0; begin < R; begin = end) {
    while (end < R && is_picture(end) == is_picture(begin)) ++end;
    if (!is_picture(begin)) {
      of_words(begin, end);
      continue;
    }
    PG_CHECK((end - begin) % L == 0, std::to_string(end - begin) + " image tokens in a row");
    for (Index row = begin; row < end; row += L, ++pictures) {
      of_picture(row,
                 batch.shown.empty() ? pictures : batch.shown[static_cast<std::size_t>(pictures)]);
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
        text(model.text, static_cast<Index>(batch.ids.size()), rule.recompute, batch.next.rows) {
    text.dropout = {rule.dropout, rule.seed, batch.number, 0, batch.first_row};
    if (sees) image.emplace(model.vision, batch.pixels.view().size(0), rule.recompute);
  }
};

// Leaves kept.text.normed, what the decoder made of the rows whose next token is learned.
template <class On, class W>
void forward(const On& on, const Model<On, W>& model, const TrainingBatch& batch,
             BatchActivations<On>& kept) {
  PG_CHECK(model.projector_activation == ProjectorActivation::none,
           "a projector with an activation is not learned");
  const Index pictures = batch.pixels.view().size(0), L = model.vision.patches();
  const Index image_tokens = std::count(batch.ids.begin(), batch.ids.end(), model.image_token);
  const Index shown = batch.shown.empty() ? pictures : std::ssize(batch.shown);
  PG_CHECK(image_tokens == shown * L || batch.ids.empty(),
           std::to_string(image_tokens) + " image tokens, " + std::to_string(shown) + " pictures");
  for (const Index picture : batch.shown) {
    PG_CHECK(0 <= picture && picture < pictures, "picture " + std::to_string(picture));
  }
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
  if (batch.ids.empty()) return;
  BufferOn<On, float, 2> image_rows({pictures * L, model.text.width}, unwritten);
  projector(on, kept.encoded.view(), model.weights.projector, image_rows.view());
  const auto x = kept.text.x[0].view();
  for_each_run(
      batch, model.image_token, L,
      [&](Index begin, Index picture) {
        copy(on, image_rows.view().rows(picture * L, (picture + 1) * L), x.rows(begin, begin + L));
      },
      [&](Index begin, Index end) {
        embed_words(model, words_of(batch, begin, end), x.rows(begin, end));
      });
  gemma::decoder(on, model.weights.text, model.text, gemma::Step(batch.segments), kept.text);
}

// What comes back of the text's part of the loss: dencoded [P L, D] of the vision tower, or a view of nothing.
template <class On, class W, class Dencoded, class Gradients>
double text_gradients(const On& on, const Model<On, W>& model, const TrainingBatch& batch,
                      const LearningRule& rule, BatchActivations<On>& kept,
                      const Dencoded& dencoded, const ModelWeights<Gradients>& dw) {
  const auto R = static_cast<Index>(batch.ids.size());
  const Index L = model.vision.patches();
  BufferOn<On, float, 2> dnormed(kept.text.normed.view().shape()), dx({R, model.text.width});
  const double loss = next_token_loss(on, model.weights.text, model.text, kept.text.normed.view(),
                                      batch.next, rule.smoothing, dnormed.view(), dw.text.head);

  gemma::decoder_backward(on, model.weights.text, model.text, gemma::Step(batch.segments),
                          kept.text, dnormed.view(), dx.view(), dw.text);
  BufferOn<On, float, 2> dimage_rows({kept.encoded.view().size(0), model.text.width});
  for_each_run(
      batch, model.image_token, L,
      [&](Index begin, Index picture) {
        residual_add(on, dx.view().rows(begin, begin + L),
                     dimage_rows.view().rows(picture * L, (picture + 1) * L));
      },
      [&](Index begin, Index end) {
        if (dw.text.embedding.data() == nullptr) return;
        token_embedding_backward(on, words_of(batch, begin, end), model.text.embedding_scale,
                                 dx.view().rows(begin, end), dw.text.embedding);
      });
  projector_backward(on, kept.encoded.view(), model.weights.projector, dimage_rows.view(), dencoded,
                     dw.projector);
  return loss;
}

// The loss of the batch. What dw has views of nothing for is not learned, and has no products on the way back.
template <class On, class W, class Gradients>
double gradients(const On& on, const Model<On, W>& model, const TrainingBatch& batch,
                 const LearningRule& rule, const ModelWeights<Gradients>& dw,
                 const DenseHead* head = nullptr) {
  const bool sees = siglip::is_learned(dw.vision);
  BatchActivations<On> kept(model, batch, sees, rule);
  forward(on, model, batch, kept);
  BufferOn<On, float, 2> dencoded_({sees ? kept.encoded.view().size(0) : 0, model.vision.width});
  const auto dencoded = sees ? dencoded_.view() : decltype(dencoded_.view())();
  double loss = 0;
  if (!batch.ids.empty()) loss += text_gradients(on, model, batch, rule, kept, dencoded, dw);
  if (batch.dense && head != nullptr) {
    loss += dense_loss(on, std::as_const(kept.encoded).view(), *head, *batch.dense, dencoded);
  }
  if (sees) {
    siglip::encoder_backward(on, model.weights.vision, model.vision, batch.pixels.view(),
                             *kept.image, dencoded, dw.vision);
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
