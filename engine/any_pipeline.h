// AnyPipeline: a Pipeline (paligemma/pipeline.h), whoever executes it.
//
// What calls it is compiled once, and sees no executor. As a Pipeline, it serves one caller at a time.
#pragma once

#include <any>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "colpali/prompt.h"
#include "paligemma/pipeline.h"

namespace paligemma {

struct Kernels;

class AnyPipeline {
 public:
  virtual ~AnyPipeline() = default;

  struct Picture {
    std::any encoded;  // what the executor's own encode() gave
    double preprocess_ms, encode_ms;
  };
  virtual Picture encode(View<const std::uint8_t, 3> image, const TapListener& listener) const = 0;
  virtual Picture encode_pixels(View<const float, 3> pixels, const TapListener& listener) const = 0;

  virtual Buffer<float, 2> embed(View<const std::uint8_t, 3> image,
                                 const EmbeddingRule& rule) const = 0;
  virtual Buffer<float, 2> embed_pixels(View<const float, 3> pixels,
                                        const EmbeddingRule& rule) const = 0;
  virtual siglip::Pool default_pool() const = 0;

  // Of a ColPali: the rows of a page and of a query (colpali/encoder.h), and how well pages answer
  // (colpali/max_sim.h).
  virtual Buffer<float, 2> page_rows(View<const std::uint8_t, 3> image,
                                     const colpali::PromptForm& form,
                                     const TapListener& listener) const = 0;
  virtual Buffer<float, 2> query_rows(std::string_view text, const colpali::PromptForm& form,
                                      const TapListener& listener) const = 0;
  virtual void max_sim(View<const float, 2> q, View<const float, 2> rows,
                       View<const Index, 1> first, View<float, 1> scores) const = 0;

  virtual Picture together(std::span<const Picture* const> pictures) const = 0;

  // The picture is one that this pipeline, or one for a single thread, has encoded. Throws PromptError.
  virtual Reply generate(const Picture& picture, std::string_view prompt,
                         const ReplyOptions& options, const TapListener& listener) const = 0;

  // As Pipeline::generate_all.
  using Request = ReplyRequest<Picture>;
  using NextRequest = std::function<std::optional<Request>(bool waits)>;
  virtual void generate_all(Index at_once, const NextRequest& next) const = 0;

  // The same model for a thread that shares no work; null if the executor cannot be copied.
  virtual std::unique_ptr<const AnyPipeline> for_one_thread() const = 0;

  virtual const Config& config() const = 0;
  virtual const Tokenizer& tokenizer() const = 0;
  virtual WeightFormat dtype() const = 0;
  virtual bool trained() const = 0;
  virtual const std::optional<MaskDecoder>& mask_decoder() const = 0;
};

// One for each executor. Throw as Pipeline does.
std::unique_ptr<const AnyPipeline> open_reference(const PipelineOptions& options);
std::unique_ptr<const AnyPipeline> open_fast(const Kernels* kernels, int threads,
                                             const PipelineOptions& options);
std::unique_ptr<const AnyPipeline> open_cuda(int device, const PipelineOptions& options);

// Whether kernels are linked, a GPU's or emulated ones.
bool has_cuda();

}  // namespace paligemma
