// The language model: rows of embedded tokens in, rows ready for the output head out.
//
//   x = decoder_block(x)                       18 times in Gemma 2B
//   y = rms_norm(x)
//
//   s.x       [T, D]   in: image rows and embedded words
//   s.normed  [T, D]   out
//
// The first step of an answer takes the whole prefix at once ("prefill"); every later one a single
// token ("decode"). Both are this function: only `step` differs. A step may hold several sequences, whose
// rows stand one behind the other in x; what becomes of a row does not depend on the others. Taps:
// llm/embedded, llm/block00/..., llm/final_norm.
//
// Paper: Gemma Team 2024, "Gemma", section 2; Beyer et al. 2024, "PaliGemma", section 3.1.
//
// Read next: gemma/decoder_block.h.
#pragma once

#include <array>
#include <span>
#include <utility>
#include <vector>

#include "gemma/decoder_block.h"
#include "tensor/recompute.h"

namespace paligemma::gemma {

template <class W>
struct DecoderWeights {
  typename W::Matrix embedding;                                 // [V, D]
  const Lora<typename W::Floats>* embedding_adapter = nullptr;  // tensor/lora.h; times the scale
  std::vector<DecoderBlockWeights<W>> blocks;
  typename W::Vector final_norm;  // [D]
  Linear<W> head;                 // [V, D]   the embedding itself where they are tied
};

template <class On, class W, class Tap>
void decoder(const On& on, const DecoderWeights<W>& w, const DecoderShape& shape, Step step,
             DecoderScratch<On>& s, KvCache<On>& cache, const Tap& tap) {
  for (const auto& [sequence, first, T, prefix] : step.segments) {
    PG_CHECK(first == cache.length(sequence), "a step continues where the cache ends");
    PG_CHECK(first + T >= prefix, "the rows of a prefix see one another: they are one step");
    cache.extend(on, sequence, T);
  }
  const auto rows = [T = step.rows()](auto& buffer) { return buffer.view().rows(0, T); };
  const auto x = rows(s.x), normed = rows(s.normed);
  tap("embedded", x);
  for (Index i = 0; i < shape.layers; ++i) {
    decoder_block(on, w.blocks[i], shape, i, step, s, cache, tap.block(i));
  }

  rms_norm(on, x, w.final_norm, {shape.norm_eps, shape.norm_offset}, normed);
  tap("final_norm", normed);
}

// ---- backward --------------------------------------------------------------------------------------

// Of whole sequences, whose R rows stand one behind the other, of which B are asked for, or all.
template <class On>
struct DecoderActivations {
  Recompute recompute;
  Dropout dropout = {};                   // of a step; places are the blocks'
  std::vector<BufferOn<On, float, 2>> x;  // [R, D]: what each block reads; [B, D]: the norm
  std::vector<DecoderBlockActivations<On>> blocks;  // of each, or of the one at hand
  BufferOn<On, float, 2> normed;                    // [B, D]   the result
  std::vector<Index> asked;                         // B rows; empty: all

  DecoderActivations(const DecoderShape& shape, Index R, Recompute how,
                     std::vector<Index> rows = {})
      : recompute(how),
        normed({rows.empty() ? R : std::ssize(rows), shape.width}, unwritten),
        asked(std::move(rows)) {
    for (Index i = 0; i < shape.layers; ++i) x.emplace_back(std::array{R, shape.width}, unwritten);
    x.emplace_back(normed.view().shape(), unwritten);
    for (Index i = 0; i < (how == Recompute::none ? shape.layers : 1); ++i) {
      blocks.emplace_back(shape, R);
    }
  }

  DecoderBlockActivations<On>& block(Index i) {
    auto& block = blocks[recompute == Recompute::none ? static_cast<std::size_t>(i) : 0];
    block.dropout = block.attention.dropout = dropout;
    block.attention.dropout.place = static_cast<std::uint32_t>(2 * i);
    block.dropout.place = static_cast<std::uint32_t>(2 * i + 1);
    return block;
  }
  // Of block i of so many.
  std::span<const Index> asked_of(Index i, Index layers) const {
    return i + 1 == layers ? std::span<const Index>(asked) : std::span<const Index>();
  }
};

// Reads kept.x[0], image rows and embedded words.
template <class On, class W>
void decoder(const On& on, const DecoderWeights<W>& w, const DecoderShape& shape, Step step,
             DecoderActivations<On>& kept) {
  const auto x = [&](Index i) { return kept.x[static_cast<std::size_t>(i)].view(); };
  for (Index i = 0; i < shape.layers; ++i) {
    decoder_block(on, w.blocks[static_cast<std::size_t>(i)], shape, i, step, x(i), kept.block(i),
                  x(i + 1), kept.asked_of(i, shape.layers));
  }
  rms_norm(on, x(shape.layers), w.final_norm, {shape.norm_eps, shape.norm_offset},
           kept.normed.view());
}

// From dnormed [B, D], the gradient of the result, to dx [R, D], that of kept.x[0]; zeros before.
template <class On, class W, class Dnormed, class Dx, class Gradients>
void decoder_backward(const On& on, const DecoderWeights<W>& w, const DecoderShape& shape,
                      Step step, DecoderActivations<On>& kept, const Dnormed& dnormed, const Dx& dx,
                      const DecoderWeights<Gradients>& dw) {
  const auto x = [&](Index i) { return kept.x[static_cast<std::size_t>(i)].view(); };
  DecoderBlockGradients<On> d(shape, dx.size(0));
  rms_norm_backward(on, x(shape.layers), w.final_norm,
                    RmsNormRule{shape.norm_eps, shape.norm_offset}, dnormed,
                    dx.rows(0, dnormed.size(0)), dw.final_norm);
  for (Index i = shape.layers - 1; i >= 0; --i) {
    const auto& block = w.blocks[static_cast<std::size_t>(i)];
    if (kept.recompute == Recompute::blocks) {
      decoder_block(on, block, shape, i, step, x(i), kept.block(i), x(i + 1),
                    kept.asked_of(i, shape.layers));
    }
    decoder_block_backward(on, block, shape, step, x(i), kept.block(i), d, dx,
                           dw.blocks[static_cast<std::size_t>(i)], kept.asked_of(i, shape.layers));
  }
}

}  // namespace paligemma::gemma
