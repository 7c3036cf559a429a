// PipelineOn<On>: a Pipeline<On> as an AnyPipeline.
#pragma once

#include <any>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "colpali/encoder.h"
#include "engine/any_pipeline.h"

namespace paligemma {

template <class On>
class PipelineOn : public AnyPipeline {
 public:
  explicit PipelineOn(Pipeline<On> pipeline) : pipeline_(std::move(pipeline)) {}

  Picture encode(View<const std::uint8_t, 3> image, const TapListener& listener) const override {
    return kept(pipeline_.encode(image, listener));
  }

  Picture encode_pixels(View<const float, 3> pixels, const TapListener& listener) const override {
    return kept(pipeline_.encode_pixels(pixels, listener));
  }

  Buffer<float, 2> embed(View<const std::uint8_t, 3> image,
                         const EmbeddingRule& rule) const override {
    return pipeline_.embed(image, rule);
  }
  Buffer<float, 2> embed_pixels(View<const float, 3> pixels,
                                const EmbeddingRule& rule) const override {
    return pipeline_.embed_pixels(pixels, rule);
  }
  siglip::Pool default_pool() const override { return pipeline_.default_pool(); }

  Buffer<float, 2> page_rows(View<const std::uint8_t, 3> image, const colpali::PromptForm& form,
                             const TapListener& listener) const override {
    return colpali::page_rows(pipeline_, image, form, listener);
  }
  Buffer<float, 2> query_rows(std::string_view text, const colpali::PromptForm& form,
                              const TapListener& listener) const override {
    return colpali::query_rows(pipeline_, text, form, listener);
  }

  Picture together(std::span<const Picture* const> pictures) const override {
    std::vector<const Encoded*> all;
    all.reserve(pictures.size());
    for (const Picture* picture : pictures) all.push_back(&encoded(*picture));
    return kept(pipeline_.together(all));
  }

  Reply generate(const Picture& picture, std::string_view prompt, const ReplyOptions& options,
                 const TapListener& listener) const override {
    return pipeline_.generate(encoded(picture), prompt, options, listener);
  }

  void generate_all(Index at_once, const NextRequest& next) const override {
    pipeline_.generate_all(at_once, [&](bool waits) -> std::optional<OwnRequest> {
      auto request = next(waits);
      if (!request) return std::nullopt;
      return OwnRequest{std::any_cast<std::shared_ptr<const Encoded>>(request->picture->encoded),
                        std::move(request->prompt), std::move(request->options),
                        std::move(request->on_reply), std::move(request->on_error)};
    });
  }

  const Config& config() const override { return pipeline_.config(); }
  const Tokenizer& tokenizer() const override { return pipeline_.tokenizer(); }
  WeightFormat dtype() const override { return pipeline_.dtype(); }
  bool trained() const override { return pipeline_.trained(); }
  const std::optional<MaskDecoder>& mask_decoder() const override {
    return pipeline_.mask_decoder();
  }

 protected:
  const Pipeline<On>& pipeline() const { return pipeline_; }

 private:
  using Encoded = typename Pipeline<On>::Picture;
  using OwnRequest = typename Pipeline<On>::Request;

  static const Encoded& encoded(const Picture& picture) {
    return *std::any_cast<const std::shared_ptr<const Encoded>&>(picture.encoded);
  }
  static Picture kept(Encoded encoded) {
    const double preprocess_ms = encoded.preprocess_ms, encode_ms = encoded.encode_ms;
    return {std::make_shared<const Encoded>(std::move(encoded)), preprocess_ms, encode_ms};
  }

  Pipeline<On> pipeline_;
};

}  // namespace paligemma
