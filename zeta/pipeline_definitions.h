// Pipeline for one executor and one type of weights, for the files that instantiate it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tensor/errors.h"
#include "tensor/row_on_host.h"
#include "zeta/checkpoint.h"
#include "zeta/generate.h"
#include "zeta/loss.h"
#include "zeta/palme.h"
#include "zeta/pipeline.h"
#include "zeta/weights.h"

namespace paligemma::zeta {

template <class On, class Real>
class PipelineOf final : public Pipeline {
 public:
  PipelineOf(On on, Config config, const Checkpoint& checkpoint)
      : on_(std::move(on)),
        config_(std::move(config)),
        trained_(checkpoint.trained()),
        store_(on_, [&](const std::string& name, const std::vector<Index>&) {
          return checkpoint.numbers(name);  // here alone; its shapes have been checked
        }) {
    if (const auto* palme = std::get_if<PalmEShape>(&config_.model)) {
      auto [vision, text] = load_palme<W>(*palme, store_);
      vision_ = {palme->vision, std::move(vision)};
      text_ = {palme->text, std::move(text)};
    } else if (const auto* text = std::get_if<TransformerShape>(&config_.model)) {
      text_ = {*text, load_transformer<W>(*text, "", store_)};
    } else {
      const auto& vision = std::get<VisionShape>(config_.model);
      vision_ = {vision, load_vision<W>(vision, "", store_)};
    }
  }

  std::vector<float> look_at(View<const float, 3> pixels, const TapListener& listener) override {
    const VisionShape& shape = vision_.shape;
    const auto& w = vision_.weights;
    const Index S = shape.image_size;
    PG_CHECK((pixels.shape() == std::array<Index, 3>{S, S, shape.channels}),
             "pixels " + shape_text(pixels) + ", pictures have a side of " + std::to_string(S));
    BufferOn<On, float, 3> there(pixels.shape(), unwritten);
    copy_from_host(on_, pixels, there.view());
    VisionScratch<On> s(on_, shape, w);
    with_tap(on_, listener, [&](const auto& tap) {
      vision(on_, w, shape, std::as_const(there).view(), s, tap.in("img"));
    });
    picture_.emplace(s.layers.normed.view().shape(), unwritten);
    copy(on_, std::as_const(s.layers.normed).view(), picture_->view());
    std::vector<float> classes;
    if (shape.classes > 0) {
      classify(on_, w, shape, s);
      const Buffer<float, 1> scores = row_on_host(on_, s.classes.view(), 0);
      classes.assign(scores.view().data(), scores.view().data() + shape.classes);
    }
    wait_for(on_);
    return classes;
  }

  Buffer<float, 2> logits(std::span<const TokenId> ids, const TapListener& listener) override {
    const TransformerShape& shape = text_.shape;
    const auto& w = text_.weights;
    const auto T = static_cast<Index>(ids.size());
    const bool cuts = shape.memory_rows > 0;
    if (!cuts && shape.positions == Positions::learned && T > shape.max_positions) {
      throw PromptError(std::to_string(T) + " tokens, the model has learned " +
                        std::to_string(shape.max_positions) + " positions");
    }
    const Index at_once = cuts ? std::min(T, shape.max_positions) : T;
    Buffer<float, 2> all({T, shape.outputs}, unwritten);
    auto s = scratch({.rows = at_once, .keys = at_once, .remembers = cuts}, at_once);
    std::optional<Memories<On>> memories;
    with_tap(on_, listener, [&](const auto& tap) {
      for (Index begin = 0; begin < T; begin += at_once) {
        const Index end = std::min(begin + at_once, T);
        const auto rows = segment(ids.subspan(begin, end - begin), memories, s, tap.in("llm"));
        to_host_rows(zeta::logits(on_, w, rows, s, NoTap()), all.view().rows(begin, end));
      }
    });
    if (listener) {
      const auto y = std::as_const(all).view();
      listener("llm/logits", {y.data(), static_cast<std::size_t>(y.count())}, y.shape());
    }
    return all;
  }

  double loss(std::span<const TokenId> ids) override {
    if (ids.size() < 2) return NAN;
    const auto targets = ids.subspan(1);
    const Buffer<float, 2> all = logits(ids.first(targets.size()), {});
    return cross_entropy(reference, all.view(),
                         {targets.data(), {static_cast<Index>(targets.size())}});
  }

  std::vector<GeneratedToken> generate(std::span<const TokenId> prompt, const TextOptions& options,
                                       const std::function<bool(const GeneratedToken&)>& on_token,
                                       const TapListener& listener) override {
    const TransformerShape& shape = text_.shape;
    const auto& w = text_.weights;
    const Index most = static_cast<Index>(prompt.size()) + options.max_tokens;
    auto s = scratch(room_for(shape, most, 0), 1);
    std::vector<GeneratedToken> made;
    const auto heard = [&](const GeneratedToken& token) {
      made.push_back(token);
      return on_token(token);
    };
    GenerateOptions how{options.max_tokens, options.end_tokens, options.filter, options.sampler};
    with_tap(on_, listener, [&](const auto& tap) {
      const auto llm = tap.in("llm");
      if (shape.memory_rows == 0) {
        zeta::generate(on_, w, shape, prompt, kNoMemories, s, how, heard, llm);
      } else {
        generate_in_segments({prompt.begin(), prompt.end()}, how, s, heard, llm);
      }
    });
    return made;
  }

  const Config& config() const override { return config_; }
  WeightFormat dtype() const override { return kFormatOf<Real>; }
  bool trained() const override { return trained_; }

 private:
  using W = WeightsOn<On, Real>;
  static constexpr const Memories<On>* kNoMemories = nullptr;

  // With the picture to look at, where there is one.
  TransformerScratch<On> scratch(Room room, Index logit_rows) {
    const TransformerShape& shape = text_.shape;
    const auto& w = text_.weights;
    room.memories = shape.memory_rows;
    room.context = picture_ ? picture_->view().size(0) : 0;
    TransformerScratch<On> s(on_, shape, w, room, logit_rows);
    if (picture_ && shape.layers.count(BlockKind::cross_attention) > 0) {
      take_context(on_, w.layers, shape.layers, std::as_const(*picture_).view(), s.layers);
    }
    return s;
  }

  // All words of a segment at once, and what the next one remembers.
  template <class Tap>
  ConstRowsOn<On> segment(std::span<const TokenId> ids, std::optional<Memories<On>>& memories,
                          TransformerScratch<On>& s, const Tap& tap) {
    const TransformerShape& shape = text_.shape;
    const auto& w = text_.weights;
    Words<On> words;
    words.ids = ids;
    restart(s);
    const Memories<On>* before = memories ? &*memories : kNoMemories;
    const auto rows = transformer(on_, w, shape, words, before, s, tap);
    if (s.layers.room.remembers) {
      const Index T = shape.memory_tokens + static_cast<Index>(ids.size());
      memories = remember(on_, shape, before, T, s);
      shift_memories(shape, *memories);
    }
    return rows;
  }

  // A segment ends when it is full; then its words go through the layers once more, all at once.
  template <class Tap>
  void generate_in_segments(std::vector<TokenId> words, GenerateOptions how,
                            TransformerScratch<On>& s,
                            const std::function<bool(const GeneratedToken&)>& on_token,
                            const Tap& tap) {
    const TransformerShape& shape = text_.shape;
    const auto& w = text_.weights;
    const Index L = shape.max_positions, all = how.max_tokens;
    auto reader = scratch({.rows = L, .keys = L, .remembers = true}, 1);
    std::optional<Memories<On>> memories;
    bool goes_on = true;
    const auto heard = [&](const GeneratedToken& token) {
      words.push_back(token.id);
      goes_on = on_token(token) && how.end_tokens.count(token.id) == 0;
      return goes_on;
    };
    for (Index made = 0; made < all && goes_on; made += how.max_tokens) {
      while (static_cast<Index>(words.size()) > L) {
        segment(std::span(words).first(static_cast<std::size_t>(L)), memories, reader, NoTap());
        words.erase(words.begin(), words.begin() + L);
      }
      const std::vector<TokenId> prompt = words;
      how.first_step = made;
      how.max_tokens = std::min(all - made, L + 1 - static_cast<Index>(prompt.size()));
      zeta::generate(on_, w, shape, prompt, memories ? &*memories : kNoMemories, s, how, heard,
                     tap);
    }
  }

  void to_host_rows(RowsOn<On> from, View<float, 2> to) {
    if constexpr (OnHost<On>) {
      copy(on_, from, to);
    } else {
      copy(reference, to_host(on_, ConstRowsOn<On>(from)).view(), to);
    }
  }

  template <class Shape, class Weights>
  struct Part {
    Shape shape;
    Weights weights;
  };

  On on_;
  Config config_;
  bool trained_;
  WeightStore<On, Real> store_;
  Part<VisionShape, VisionWeights<W>> vision_;
  Part<TransformerShape, TransformerWeights<W>> text_;
  std::optional<BufferOn<On, float, 2>> picture_;  // [L, D]
};

// What does not depend on who executes.
Config configured(const PipelineOptions& options);

template <class On>
std::unique_ptr<Pipeline> open_pipeline(On on, const PipelineOptions& options) {
  Config config = configured(options);
  const Checkpoint checkpoint(options.model, config);
  return with_format(
      options.dtype.value_or(checkpoint.format()),
      [&]<class Real>(Real) -> std::unique_ptr<Pipeline> {
        if constexpr (Quantized<Real>) {
          throw std::runtime_error("weights of 8 and 4 bits are for PaliGemma alone");
        } else {
          return std::make_unique<PipelineOf<On, Real>>(std::move(on), std::move(config),
                                                        checkpoint);
        }
      });
}

}  // namespace paligemma::zeta
