// Pipeline: a checkpoint's folder, made ready to answer. The whole of the library in one object.
//
//   Pipeline<Reference> pipeline(reference, {.model = "models/tiny"});
//   const auto picture = pipeline.encode(read_image("scene.png").view());
//   const auto answer = pipeline.generate(picture, "caption en", {});
//
// A picture is encoded once and may be asked many things.
//
// A pipeline and its copies serve one caller at a time: they share an executor, and the memory of answers.
// That is kept from one answer to the next, as large as the longest needed, at most as the model's positions.
// For several threads `with` makes pipelines that share nothing but what was loaded:
// pipeline.with(Fast({.threads = 1})).
//
// Read next: paligemma/config.h.
#pragma once

#include <concepts>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "paligemma/batch.h"
#include "paligemma/beam_search.h"
#include "paligemma/checkpoint.h"
#include "paligemma/contrastive_search.h"
#include "paligemma/generate.h"
#include "paligemma/prompt_lookup.h"
#include "processing/image_file.h"
#include "processing/prompt.h"
#include "processing/segmentation.h"
#include "processing/tokenizer.h"
#include "tensor/errors.h"
#include "tensor/tap_listener.h"

namespace paligemma {

struct PipelineOptions {
  std::filesystem::path model;  // a checkpoint's folder, or a safetensors file in it
  std::optional<std::filesystem::path> tokenizer = {};  // default: the one beside it
  std::optional<std::filesystem::path> adapter = {};    // PEFT's folder (paligemma/adapter.h)
  std::optional<WeightFormat> dtype = {};               // of weights in memory; default: as stored
  std::optional<ResampleFilter> resample = {};          // default: the checkpoint's
  std::optional<std::filesystem::path> mask_decoder = {};  // default: vae-oid.npz, if beside it
  Towers towers = Towers::both;  // vision: for embeddings alone; it may be a SigLIP's
  bool soft_cap = true;          // false: no caps, whatever the configuration says
  bool sliding_window = true;    // false: no windows
  LoadListener on_load = {};     // hears how far the weights have come
};

struct Reply {
  std::string text;
  std::vector<TokenId> prompt;
  std::string note;                    // what was typed in vain, processing/prompt.h
  std::vector<GeneratedToken> tokens;  // the end token too, when it came
  bool ended = false;                  // by an end token
  bool stopped = false;                // by one of the stop strings
  std::optional<float> score = {};     // of beams
  std::vector<Reply> others = {};      // where several answers were asked for, best first
};

struct ReplyOptions {
  std::optional<Index> max_tokens = {};  // default: 100, or what the positions leave room for
  SamplerOptions sampler = {};
  TokenRules rules = {};
  Index likeliest = 0;                 // so many tokens of each step are told
  std::vector<std::string> stop = {};  // the answer ends with the token that completes one of them
  BeamOptions beams = {};              // more than one: a search, in place of the sampler
  ContrastiveOptions contrast = {};    // an alpha above 0: another search, in its place
  Index lookup = 0;   // tokens that are guessed at once (paligemma/prompt_lookup.h)
  Index answers = 1;  // of a search, or drawn with the seeds that follow
  std::function<void(std::string_view)> on_text = {};  // each new stretch of the answer
};

// Of what is left of a picture (siglip/pooling.h).
struct EmbeddingRule {
  std::optional<siglip::Pool> pool = {};  // default: attention if there is such a head, else mean
  bool projected = false;                 // into the language model's width
  bool unit_length = false;               // each row
};

// One of many. Its picture may go once the next is asked for. Of the two calls one is made.
template <class Picture>
struct ReplyRequest {
  std::shared_ptr<const Picture> picture;
  std::string prompt;
  ReplyOptions options;
  std::function<void(Reply)> on_reply;
  std::function<void(const PromptError&)> on_error;
};

// As a model's generation_config.json says.
ReplyOptions as_configured(const GenerationConfig& config);

// A picture as the vision tower takes it, [R, R, 3]: squashed to its side, and normalised.
Buffer<float, 3> vision_pixels(const Config& config, View<const std::uint8_t, 3> image);

template <class On>
class AnswerMemory;

template <class On>
class Pipeline {
 public:
  // Throws NotFoundError or ModelFileError.
  Pipeline(On on, const PipelineOptions& options);

  // The same model, executed by another, in memory of its own.
  Pipeline with(On on) const requires std::copyable<On>;

  struct Picture {
    BufferOn<On, float, 2> rows;  // [L, D]
    double preprocess_ms, encode_ms;
  };
  Picture encode(View<const std::uint8_t, 3> image, const TapListener& listener = {}) const;
  // Of vision_pixels().
  Picture encode_pixels(View<const float, 3> pixels, const TapListener& listener = {}) const;

  // A picture as numbers of the host, [1, D], or [L, D] if it is not pooled. Throws ModelFileError for what the
  // model does not have: a pooling head, a projector.
  Buffer<float, 2> embed(View<const std::uint8_t, 3> image, const EmbeddingRule& rule,
                         const TapListener& listener = {}) const;
  Buffer<float, 2> embed_pixels(View<const float, 3> pixels, const EmbeddingRule& rule,
                                const TapListener& listener = {}) const;
  siglip::Pool default_pool() const;

  // Several as one, for prompts about all of them.
  Picture together(std::span<const Picture* const> pictures) const;

  // The picture is one that this model, or one of the same shape, has encoded. Throws PromptError if the prompt is
  // not UTF-8 or too long, or says <image> another number of times than there are pictures. Of several answers
  // only the first is heard as it comes.
  Reply generate(const Picture& picture, std::string_view prompt, const ReplyOptions& options,
                 const TapListener& listener = {}) const;

  using Request = ReplyRequest<Picture>;
  // Whether it waits for a request, or says that there is none yet. After a nothing that was waited for there are
  // none to come.
  using NextRequest = std::function<std::optional<Request>(bool waits)>;
  // Answers all, up to `at_once` side by side (paligemma/batch.h); alone those that search, guess or want several
  // answers. Replies come as they are ready, in any order. Throws what the calls throw.
  void generate_all(Index at_once, const NextRequest& next) const;

  // f(model, memory), for what another room makes of the model, whatever its weights are.
  template <class F>
  decltype(auto) with_model(const F& f) const {
    return std::visit([&](const auto& model) { return f(model, *memory_); }, model_);
  }

  const Config& config() const { return files_->config; }
  const Tokenizer& tokenizer() const { return files_->tokenizer.value(); }
  WeightFormat dtype() const;  // of the weights in memory
  bool trained() const { return files_->checkpoint.trained(); }
  const std::optional<MaskDecoder>& mask_decoder() const { return files_->mask_decoder; }

 private:
  // The reply as far as it is known before it is written, and how it is to be. Throws PromptError.
  std::pair<Reply, GenerateOptions> begun(const Picture& picture, std::string_view prompt,
                                          const ReplyOptions& options) const;
  Reply written(const Picture& picture, Reply reply, const GenerateOptions& how,
                const ReplyOptions& options, const TapListener& listener) const;
  Reply drawn(const Picture& picture, const Reply& reply, GenerateOptions how,
              const ReplyOptions& options, const TapListener& listener) const;
  Reply searched(const Picture& picture, Reply reply, const GenerateOptions& how,
                 const ReplyOptions& options, const TapListener& listener) const;

  template <class Real>
  using ModelOf = Model<On, WeightsOn<On, Real>>;

  struct Files {
    std::filesystem::path model;  // as it was called
    Config config;
    std::optional<Tokenizer> tokenizer;  // none of a vision tower alone
    Checkpoint checkpoint;
    std::optional<MaskDecoder> mask_decoder;

    explicit Files(const PipelineOptions& options);
  };
  std::shared_ptr<const Files> files_;
  static constexpr bool kQuantized = OnHost<On>;  // a Stream has no such kernels
  // In the order of WeightFormat.
  std::conditional_t<kQuantized,
                     std::variant<ModelOf<float>, ModelOf<bf16>, ModelOf<f16>, ModelOf<Int8Block>,
                                  ModelOf<Int4Block>>,
                     std::variant<ModelOf<float>, ModelOf<bf16>, ModelOf<f16>>>
      model_;
  std::shared_ptr<AnswerMemory<On>> memory_;
};

extern template class Pipeline<Reference>;

}  // namespace paligemma
