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
#include <vector>

#include "paligemma/model.h"
#include "tensor/recompute.h"
#include "train/next_token_loss.h"

namespace paligemma {

struct Batch {
  Buffer<float, 4> pixels{{0, 0, 0, 0}};  // [P, R, R, 3]: pictures in the order of their tokens
  std::vector<TokenId> ids;  // of every sequence; image tokens stand for rows of pictures
  std::vector<gemma::Segment> segments;  // one for each sequence, from position 0 on
  NextTokens next;                       // rows count over all sequences
};

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

// The loss of the batch. What dw has views of nothing for is not learned, and has no products on the way back.
template <class On, class W, class Gradients>
double gradients(const On& on, const Model<On, W>& model, const Batch& batch, float smoothing,
                 Recompute recompute, const ModelWeights<Gradients>& dw) {
  PG_CHECK(model.projector_activation == ProjectorActivation::none,
           "a projector with an activation is not learned");
  const Index pictures = batch.pixels.view().size(0), L = model.vision.patches();
  const auto R = static_cast<Index>(batch.ids.size());
  const Index image_tokens = std::count(batch.ids.begin(), batch.ids.end(), model.image_token);
  PG_CHECK(image_tokens == pictures * L, std::to_string(image_tokens) + " image tokens, " +
                                             std::to_string(pictures) + " pictures");
  const auto words_of = [&](Index begin, Index end) {
    return View<const TokenId, 1>(batch.ids.data() + begin, {end - begin});
  };

  // There: pictures, rows, loss.
  siglip::EncoderActivations<On> image(model.vision, pictures, recompute);
  BufferOn<On, float, 2> image_rows({pictures * L, model.text.width}, unwritten);
  siglip::encoder(on, model.weights.vision, model.vision, batch.pixels.view(), image);
  projector(on, image.normed.view(), model.weights.projector, image_rows.view());

  gemma::DecoderActivations<On> text(model.text, R, recompute);
  const auto x = text.x[0].view();
  for_each_run(
      batch.ids, model.image_token,
      [&](Index begin, Index end, Index row) {
        copy(on, image_rows.view().rows(row, row + end - begin), x.rows(begin, end));
      },
      [&](Index begin, Index end) {
        embed_words(model, words_of(begin, end), x.rows(begin, end));
      });
  const gemma::Step step(batch.segments);
  gemma::decoder(on, model.weights.text, model.text, step, text);
  BufferOn<On, float, 2> dnormed({R, model.text.width}), dx({R, model.text.width});
  const double loss = next_token_loss(on, model.weights.text, model.text, text.normed.view(),
                                      batch.next, smoothing, dnormed.view(), dw.text.head);

  // And back.
  gemma::decoder_backward(on, model.weights.text, model.text, step, text, dnormed.view(), dx.view(),
                          dw.text);
  BufferOn<On, float, 2> dimage_rows({pictures * L, model.text.width}, unwritten);
  for_each_run(
      batch.ids, model.image_token,
      [&](Index begin, Index end, Index row) {
        copy(on, dx.view().rows(begin, end), dimage_rows.view().rows(row, row + end - begin));
      },
      [&](Index begin, Index end) {
        if (dw.text.embedding.data() == nullptr) return;
        token_embedding_backward(on, words_of(begin, end), model.text.embedding_scale,
                                 dx.view().rows(begin, end), dw.text.embedding);
      });
  const bool sees = siglip::is_learned(dw.vision);
  BufferOn<On, float, 2> dencoded({sees ? pictures * L : 0, model.vision.width});
  projector_backward(on, image.normed.view(), model.weights.projector, dimage_rows.view(),
                     sees ? dencoded.view() : decltype(dencoded.view())(), dw.projector);
  if (sees) {
    siglip::encoder_backward(on, model.weights.vision, model.vision, batch.pixels.view(), image,
                             dencoded.view(), dw.vision);
  }
  return loss;
}

}  // namespace paligemma
