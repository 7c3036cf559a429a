// The members of Pipeline, for the files that instantiate it: one for each executor.
#pragma once

#include <chrono>
#include <memory>
#include <stdexcept>
#include <utility>

#include "paligemma/adapter.h"
#include "paligemma/answer_memory.h"
#include "paligemma/pipeline.h"
#include "paligemma/pipeline_replies.h"
#include "tensor/unit_rows.h"

namespace paligemma {

// What does not depend on who executes.
namespace pipeline_parts {

using Clock = std::chrono::steady_clock;
double milliseconds_since(Clock::time_point start);

// The host's pixels where the executor reads them.
template <class On>
BufferOn<On, float, 3> pixels_on(const On& on, const siglip::EncoderShape& shape,
                                 View<const float, 3> pixels) {
  const Index R = shape.image_size;
  PG_CHECK((pixels.shape() == std::array<Index, 3>{R, R, 3} && pixels.is_row_major()),
           "pixels " + shape_text(pixels) + ", pictures have a side of " + std::to_string(R));
  BufferOn<On, float, 3> there({R, R, 3}, unwritten);
  copy_from_host(on, pixels, there.view());
  return there;
}

Config configured(const PipelineOptions& options);
std::optional<Tokenizer> found_tokenizer(const PipelineOptions& options, const Config& config);
std::optional<MaskDecoder> found_mask_decoder(const PipelineOptions& options);

}  // namespace pipeline_parts

template <class On>
Pipeline<On>::Files::Files(const PipelineOptions& options)
    : model(options.model),
      config(pipeline_parts::configured(options)),
      tokenizer(pipeline_parts::found_tokenizer(options, config)),
      checkpoint(options.model, config),
      mask_decoder(pipeline_parts::found_mask_decoder(options)) {
  if (tokenizer && config.end_tokens.empty()) config.end_tokens.insert(tokenizer->eos());
  if (options.adapter) {
    checkpoint.adapt(std::make_shared<const Adapter>(*options.adapter, checkpoint, config));
  }
}

template <class On>
Pipeline<On>::Pipeline(On on, const PipelineOptions& options)
    : memory_(std::make_shared<AnswerMemory<On>>()) {
  const auto files = std::make_shared<Files>(options);
  files_ = files;
  Checkpoint& checkpoint = files->checkpoint;
  const Config& config = files->config;
  with_format(options.dtype.value_or(checkpoint.format()), [&]<class Real>(Real) {
    if constexpr (Quantized<Real> && !kQuantized) {
      throw std::runtime_error("quantised weights are for the CPU alone: give --device cpu");
    } else {
      auto placed = place_weights<Real>(on, checkpoint, config, options.on_load);
      model_ = ModelOf<Real>{std::move(on),
                             config.vision,
                             config.text,
                             config.image_token,
                             std::move(placed.weights),
                             std::move(placed.memory),
                             config.projector_activation};
    }
  });
}

template <class On>
Pipeline<On> Pipeline<On>::with(On on) const requires std::copyable<On> {
  Pipeline other = *this;
  std::visit([&](auto& model) { model.on = std::move(on); }, other.model_);
  other.memory_ = std::make_shared<AnswerMemory<On>>();
  return other;
}

template <class On>
WeightFormat Pipeline<On>::dtype() const {
  return static_cast<WeightFormat>(model_.index());
}

template <class On>
auto Pipeline<On>::encode(View<const std::uint8_t, 3> image, const TapListener& listener) const
    -> Picture {
  using namespace pipeline_parts;
  const auto start = Clock::now();
  const Buffer<float, 3> pixels = vision_pixels(config(), image);
  const double preprocess_ms = milliseconds_since(start);
  Picture picture = encode_pixels(pixels.view(), listener);
  picture.preprocess_ms = preprocess_ms;
  return picture;
}

template <class On>
auto Pipeline<On>::encode_pixels(View<const float, 3> pixels, const TapListener& listener) const
    -> Picture {
  using namespace pipeline_parts;
  const auto start = Clock::now();
  return std::visit(
      [&](const auto& model) {
        const BufferOn<On, float, 3> there = pixels_on(model.on, config().vision, pixels);
        auto rows = with_tap(model.on, listener, [&](const auto& tap) {
          return encode_image(model, there.view(), memory_->encoder_scratch(model.vision), tap);
        });
        wait_for(model.on);
        return Picture{std::move(rows), 0, milliseconds_since(start)};
      },
      model_);
}

template <class On>
siglip::Pool Pipeline<On>::default_pool() const {
  const bool has_head = files_->checkpoint.as_stored(config()).pooling_head;
  return has_head ? siglip::Pool::attention : siglip::Pool::mean;
}

template <class On>
Buffer<float, 2> Pipeline<On>::embed(View<const std::uint8_t, 3> image, const EmbeddingRule& rule,
                                     const TapListener& listener) const {
  return embed_pixels(vision_pixels(config(), image).view(), rule, listener);
}

template <class On>
Buffer<float, 2> Pipeline<On>::embed_pixels(View<const float, 3> pixels, const EmbeddingRule& rule,
                                            const TapListener& listener) const {
  const siglip::Pool pool = rule.pool.value_or(default_pool());
  if (pool == siglip::Pool::attention && default_pool() != pool) {
    throw ModelFileError(files_->model.string() + ": no pooling head (tensors " +
                         "vision_tower.head.*), which pool attention takes");
  }
  if (rule.projected && config().text.width == 0) {
    throw ModelFileError(files_->model.string() + ": no projector (tensors " +
                         "multi_modal_projector.*) to be projected by");
  }
  Buffer<float, 2> embedding = std::visit(
      [&](const auto& model) {
        const BufferOn<On, float, 3> there =
            pipeline_parts::pixels_on(model.on, config().vision, pixels);
        return with_tap(model.on, listener, [&](const auto& tap) {
          auto rows = embed_image(model, there.view(), pool, rule.projected,
                                  memory_->encoder_scratch(model.vision), tap);
          if constexpr (OnHost<On>) {
            return rows;
          } else {
            return to_host(model.on, rows.view());
          }
        });
      },
      model_);
  const auto rows = embedding.view();
  if (rule.unit_length) unit_rows(reference, rows, UnitRule{}, View<const float, 1>(), rows);
  return embedding;
}

template <class On>
auto Pipeline<On>::together(std::span<const Picture* const> pictures) const -> Picture {
  const Index L = config().vision.patches(), P = static_cast<Index>(pictures.size());
  Picture all{BufferOn<On, float, 2>({P * L, config().text.width}, unwritten), 0, 0};
  std::visit(
      [&](const auto& model) {
        for (Index i = 0; i < P; ++i) {
          const Picture& picture = *pictures[static_cast<std::size_t>(i)];
          copy(model.on, picture.rows.view(), all.rows.view().rows(i * L, (i + 1) * L));
          all.preprocess_ms += picture.preprocess_ms;
          all.encode_ms += picture.encode_ms;
        }
        wait_for(model.on);
      },
      model_);
  return all;
}

}  // namespace paligemma
