#include "paligemma/pipeline.h"

#include <algorithm>
#include <chrono>

#include "tensor/errors.h"

namespace paligemma {

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

Config configured(const PipelineOptions& options) {
  Config config = read_config(checkpoint_folder(options.model));
  if (options.resample) config.resample = *options.resample;
  if (!options.soft_cap) {
    config.text.attention_soft_cap = config.text.final_soft_cap = kNoSoftCap;
  }
  if (!options.sliding_window) {
    std::fill(config.text.window.begin(), config.text.window.end(), kNoWindow);
  }
  return config;
}

std::optional<MaskDecoder> found_mask_decoder(const PipelineOptions& options) {
  if (options.mask_decoder) return MaskDecoder(*options.mask_decoder);
  const auto beside = checkpoint_folder(options.model) / "vae-oid.npz";
  if (!std::filesystem::exists(beside)) return std::nullopt;
  return MaskDecoder(beside);
}

// Hands views to a TapListener as plain numbers.
struct Forward {
  const TapListener& listener;

  template <class T, int Rank>
  void operator()(const std::string& name, View<T, Rank> view) const {
    PG_CHECK(view.is_row_major(), name);
    if (!listener) return;
    listener(name, {view.data(), static_cast<std::size_t>(view.count())}, view.shape());
  }
};

// Text that is complete: the answer may stop in the middle of a character of several bytes, which
// the tokenizer shows as U+FFFD until the rest has come.
std::string_view complete_part(std::string_view text) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  while (text.ends_with(kReplacement)) text.remove_suffix(kReplacement.size());
  return text;
}

}  // namespace

template <class On>
Pipeline<On>::Pipeline(On on, const PipelineOptions& options)
    : config_(configured(options)),
      tokenizer_(options.tokenizer.value_or(checkpoint_folder(options.model) / "tokenizer.model"),
                 config_.image_token, static_cast<TokenId>(config_.text.vocabulary)),
      checkpoint_(options.model, config_),
      mask_decoder_(found_mask_decoder(options)) {
  config_.end_tokens.insert(tokenizer_.eos());
  const auto load = [&]<class Real>(Real) {
    model_ = ModelOf<Real>{on, config_.vision, config_.text,
                           checkpoint_.template weights<Real>(config_)};
  };
  switch (options.dtype.value_or(checkpoint_.dtype())) {
    case DType::bf16:
      load(bf16{});
      break;
    case DType::f16:
      load(f16{});
      break;
    default:
      load(float{});
      break;
  }
}

template <class On>
DType Pipeline<On>::dtype() const {
  constexpr std::array kTypes{DType::f32, DType::bf16, DType::f16};
  return kTypes[model_.index()];
}

template <class On>
auto Pipeline<On>::encode(View<const std::uint8_t, 3> image, const TapListener& listener) const
    -> Picture {
  const auto start = Clock::now();
  const Index S = config_.vision.image_size;
  Buffer<std::uint8_t, 3> squashed({S, S, 3});
  resize(image, config_.resample, squashed.view());
  Buffer<float, 3> pixels({S, S, 3});
  normalize_pixels(squashed.view(), config_.pixel_scale, pixels.view());
  const double preprocess_ms = milliseconds_since(start);

  const auto encode_start = Clock::now();
  Forward to_listener{listener};
  auto rows = std::visit(
      [&](const auto& model) { return encode_image(model, pixels.view(), Tap(to_listener)); },
      model_);
  return {std::move(rows), preprocess_ms, milliseconds_since(encode_start)};
}

template <class On>
Answer Pipeline<On>::generate(const Picture& picture, std::string_view prompt,
                              const AnswerOptions& options, const TapListener& listener) const {
  Prompt made = make_prompt(tokenizer_, prompt, static_cast<int>(config_.vision.patches()));
  Answer answer{{}, std::move(made.ids), std::move(made.note), {}, false};

  const auto T = static_cast<Index>(answer.prompt.size());
  const Index room = config_.text.max_positions - T;
  constexpr Index kDefaultTokens = 100;
  if (room < 1 || options.max_tokens.value_or(1) > room) {
    throw PromptError("the prompt's " + std::to_string(T) + " tokens and an answer of " +
                      std::to_string(options.max_tokens.value_or(1)) + " exceed the model's " +
                      std::to_string(config_.text.max_positions) + " positions");
  }
  const GenerateOptions generate_options{
      options.max_tokens.value_or(std::min(room, kDefaultTokens)), config_.end_tokens,
      options.sampler};

  // Text appears as its tokens do.
  std::vector<TokenId> ids;
  std::size_t shown = 0;
  const auto show = [&](std::string_view text) {
    if (text.size() > shown && options.on_text) options.on_text(text.substr(shown));
    shown = std::max(shown, text.size());
  };
  const auto on_token = [&](const GeneratedToken& token) {
    answer.ended = config_.end_tokens.count(token.id) != 0;
    if (answer.ended) return true;
    ids.push_back(token.id);
    answer.text = tokenizer_.decode(ids);
    show(complete_part(answer.text));
    return true;
  };
  Forward to_listener{listener};
  answer.tokens = std::visit(
      [&](const auto& model) {
        return paligemma::generate(model, picture.rows.view(), answer.prompt, generate_options,
                                   on_token, Tap(to_listener));
      },
      model_);
  show(answer.text);
  return answer;
}

template class Pipeline<Reference>;

}  // namespace paligemma
