// Pipeline: a model's folder, made ready: pixels and ids in, logits, a loss or further ids out.
//
//   const auto model = zeta::open_pipeline(reference, {.model = "models/palme"});
//   model->look_at(pixels.view());                        of a PalmE: what all that follows looks at
//   const auto logits = model->logits({7, 0, 1});         [3, V]
//   const auto tokens = model->generate({7}, {.max_tokens = 12}, {});
//
// Memories: where a model has memory_rows, a text longer than max_positions is cut into segments of so many
// words, each of which remembers the last rows of the one before; so is a text that grows longer as it is
// generated. Without them logits and loss are of one pass, and generate leaves out the oldest words.
//
// A pipeline serves one caller at a time; look_at() holds until the next. Whoever executes, this is all that
// callers see: it is compiled for each executor (zeta/pipeline_definitions.h).
//
// Read next: zeta/config.h.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "gemma/generated_token.h"
#include "gemma/sampler.h"
#include "tensor/buffer.h"
#include "tensor/tap_listener.h"
#include "tensor/weight_format.h"
#include "zeta/config.h"
#include "zeta/token_filter.h"

namespace paligemma::zeta {

struct PipelineOptions {
  std::filesystem::path model;  // a folder, or its safetensors file
  std::optional<WeightFormat> dtype =
      {};  // of weights in memory, f32, bf16 or f16; default: as stored
  std::optional<Index> memory_rows = {};  // default: the model's max_mem_len
};

struct TextOptions {
  Index max_tokens = 100;
  std::set<TokenId> end_tokens = {};
  TokenFilter filter = {};
  SamplerOptions sampler = {};
};

class Pipeline {
 public:
  virtual ~Pipeline() = default;

  // Of a PalmE or a ViTransformerWrapper: pixels [S, S, C]. Of the latter's classes the scores, of what has
  // none nothing.
  virtual std::vector<float> look_at(View<const float, 3> pixels, const TapListener& listener) = 0;

  // Of all rows of a text, [T, outputs]. Throws PromptError if it is longer than a single pass takes.
  virtual Buffer<float, 2> logits(std::span<const TokenId> ids, const TapListener& listener) = 0;

  // The mean surprise at each id but the first. NaN for fewer than two.
  virtual double loss(std::span<const TokenId> ids) = 0;

  // The end token too, when it came. `on_token` may end the text by false.
  virtual std::vector<GeneratedToken> generate(
      std::span<const TokenId> prompt, const TextOptions& options,
      const std::function<bool(const GeneratedToken&)>& on_token, const TapListener& listener) = 0;

  virtual const Config& config() const = 0;
  virtual WeightFormat dtype() const = 0;  // of the weights in memory
  virtual bool trained() const = 0;
};

// Throws NotFoundError or ModelFileError.
template <class On>
std::unique_ptr<Pipeline> open_pipeline(On on, const PipelineOptions& options);

extern template std::unique_ptr<Pipeline> open_pipeline(Reference, const PipelineOptions&);

}  // namespace paligemma::zeta
