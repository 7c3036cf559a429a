#include "paligemma/pipeline_definitions.h"
#include "tensor/paths.h"

namespace paligemma {

namespace pipeline_parts {

Config configured(const PipelineOptions& options) {
  Config config = read_config(checkpoint_folder(options.model), options.towers);
  if (options.resample) {
    config.resample = *options.resample;
    config.samples_picture = false;
  }
  if (!options.soft_cap) {
    config.text.attention_soft_cap = config.text.final_soft_cap = kNoSoftCap;
  }
  if (!options.sliding_window) {
    std::fill(config.text.window.begin(), config.text.window.end(), kNoWindow);
  }
  return config;
}

std::optional<Tokenizer> found_tokenizer(const PipelineOptions& options, const Config& config) {
  if (options.towers == Towers::vision) return std::nullopt;
  return Tokenizer(options.tokenizer.value_or(checkpoint_folder(options.model)), config.image_token,
                   static_cast<TokenId>(config.text.vocabulary));
}

std::optional<MaskDecoder> found_mask_decoder(const PipelineOptions& options) {
  if (options.towers == Towers::vision) return std::nullopt;
  if (options.mask_decoder) return MaskDecoder(*options.mask_decoder);
  const auto beside = checkpoint_folder(options.model) / "vae-oid.npz";
  if (!is_there(beside)) return std::nullopt;
  return MaskDecoder(beside);
}

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace pipeline_parts

ReplyOptions as_configured(const GenerationConfig& config) {
  ReplyOptions options;
  options.max_tokens = config.max_tokens;
  options.sampler = config.sampler;
  options.rules = config.rules;
  options.beams = config.beams;
  options.contrast = config.contrast;
  options.answers = config.answers;
  options.lookup = config.lookup;
  options.stop = config.stop;
  return options;
}

Buffer<float, 3> vision_pixels(const Config& config, View<const std::uint8_t, 3> image) {
  const Index R = config.vision.image_size;
  Buffer<float, 3> pixels({R, R, 3}, unwritten);
  if (config.samples_picture) {
    Buffer<float, 3> sampled({R, R, 3}, unwritten);
    sample(config.crops_picture ? middle_square(image) : image, sampled.view());
    normalize_pixels(sampled.view(), config.pixel_scale, pixels.view());
    return pixels;
  }
  Buffer<std::uint8_t, 3> squashed({R, R, 3}, unwritten);
  resize(image, config.resample, squashed.view());
  normalize_pixels(squashed.view(), config.pixel_scale, pixels.view());
  return pixels;
}

template class Pipeline<Reference>;

}  // namespace paligemma
