#include "paligemma/config.h"

#include <cmath>
#include <limits>

#include "paligemma/config_parts.h"
#include "paligemma/keras_preset.h"
#include "paligemma/other_models.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/mapped_file.h"
#include "tensor/paths.h"

namespace paligemma {
namespace {

using Fields = JsonFields;

constexpr Index kMaxWidth = 1 << 20;
constexpr Index kMaxLayers = 1024;
constexpr Index kMaxVocabulary = 1 << 24;
constexpr Index kMaxImageSize = 1 << 14;

GeluForm gelu_form(const Fields& fields, const char* name) {
  const std::string form = fields.text(name, "gelu_pytorch_tanh");
  for (const char* exact : {"gelu", "gelu_python"}) {
    if (form == exact) return GeluForm::exact;
  }
  for (const char* tanh :
       {"gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu_accurate", "gelu_python_tanh"}) {
    if (form == tanh) return GeluForm::tanh;
  }
  fields.fail(name, "\"" + form + "\" is neither form of GELU");
}

// Of the whole configuration and of either tower.
void refuse_other_weights(const Fields& fields) {
  if (!fields.says_nothing("per_layer_config")) fields.fail("per_layer_config", "not supported");
  const char* name = "quantization_config";
  if (fields.says_nothing(name)) return;
  fields.fail(name, "weights of " + fields.object(name).text("quant_method", "another quantiser") +
                        " are not read; take the model that they were made from, which "
                        "`paligemma quantize` makes smaller");
}

// Absent fields have the defaults of SiglipVisionConfig.
siglip::EncoderShape vision_shape(const Fields& fields) {
  refuse_other_weights(fields);
  const std::string type = fields.text("model_type", "siglip_vision_model");
  if (type != "siglip_vision_model") {
    fields.fail("model_type", "\"" + type + "\" is not siglip_vision_model");
  }
  siglip::EncoderShape shape;
  shape.image_size = fields.size("image_size", 224, kMaxImageSize);
  shape.patch_size = fields.size("patch_size", 16, kMaxImageSize);
  shape.width = fields.size("hidden_size", 768, kMaxWidth);
  shape.mlp_width = shape.head_mlp_width = fields.size("intermediate_size", 3072, kMaxWidth);
  shape.heads = fields.size("num_attention_heads", 12, kMaxWidth);
  shape.layers = fields.size("num_hidden_layers", 12, kMaxLayers);
  shape.norm_eps = fields.number("layer_norm_eps", 1e-6f, 0, 1);
  shape.gelu = shape.head_gelu = gelu_form(fields, "hidden_act");
  if (fields.size("num_channels", 3, kMaxWidth) != 3) fields.fail("num_channels", "must be 3");
  if (shape.patch_size > shape.image_size) fields.fail("patch_size", "larger than the picture");
  if (shape.width % shape.heads != 0) {
    fields.fail("num_attention_heads", "does not divide hidden_size");
  }
  return shape;
}

// Of rope_scaling, as long as it was called that, else of rope_parameters; else it stands beside them.
float rope_theta(const Fields& fields) {
  const auto theta = [](const Fields& in, float absent) {
    return in.number("rope_theta", absent, 1, 1e12f);
  };
  const float beside = theta(fields, 10000);
  const char* name = fields.says_nothing("rope_scaling") ? "rope_parameters" : "rope_scaling";
  if (fields.says_nothing(name)) return beside;
  const Fields rope = fields.object(name);
  const char* type = rope.has("rope_type") ? "rope_type" : "type";
  if (rope.text(type, "default") != "default") {
    rope.fail(type, "\"" + rope.text(type) + "\" is not supported");
  }
  for (const char* layers : {"full_attention", "sliding_attention"}) {
    if (rope.has(layers)) rope.fail(layers, "a base for each kind of layer is not supported");
  }
  return theta(rope, beside);
}

// Which layers look back no further than the window: those that layer_types says, or the even ones.
std::vector<Index> windows(const Fields& fields, Index layers, bool gemma2) {
  std::vector<Index> window(static_cast<std::size_t>(layers), kNoWindow);
  const Index size = fields.is_null("sliding_window")
                         ? kNoWindow
                         : fields.size("sliding_window", 4096, std::numeric_limits<Index>::max());
  if (!gemma2 && fields.has("sliding_window")) {
    fields.fail("sliding_window", "gemma has none, gemma2 has");
  }
  if (!fields.has("layer_types")) {
    for (Index i = 0; gemma2 && i < layers; i += 2) window[i] = size;
    return window;
  }
  const auto types = fields.texts("layer_types");
  if (static_cast<Index>(types.size()) != layers) {
    fields.fail("layer_types", "must name " + std::to_string(layers) + " layers");
  }
  for (Index i = 0; i < layers; ++i) {
    if (types[i] == "sliding_attention" && gemma2) {
      window[i] = size;
    } else if (types[i] != "full_attention") {
      fields.fail("layer_types", "\"" + types[i] + "\" is not supported");
    }
  }
  return window;
}

// Of text_config: Gemma 2, or else Gemma 1.
bool is_gemma2(const Fields& fields) {
  const std::string type = fields.text("model_type", "gemma");
  if (type != "gemma" && type != "gemma2") {
    fields.fail("model_type", "\"" + type + "\" is neither gemma nor gemma2");
  }
  return type == "gemma2";
}

// Absent fields have the defaults of GemmaConfig or Gemma2Config.
gemma::DecoderShape text_shape(const Fields& fields) {
  refuse_other_weights(fields);
  const bool gemma2 = is_gemma2(fields);
  gemma::DecoderShape shape;
  shape.vocabulary = fields.size("vocab_size", 256000, kMaxVocabulary);
  shape.width = fields.size("hidden_size", gemma2 ? 2304 : 3072, kMaxWidth);
  shape.mlp_width = fields.size("intermediate_size", gemma2 ? 9216 : 24576, kMaxWidth);
  shape.layers = fields.size("num_hidden_layers", gemma2 ? 26 : 28, kMaxLayers);
  shape.heads = fields.size("num_attention_heads", gemma2 ? 8 : 16, kMaxWidth);
  shape.kv_heads = fields.size("num_key_value_heads", gemma2 ? 4 : 16, kMaxWidth);
  shape.head_size = fields.size("head_dim", 256, kMaxWidth);
  shape.max_positions = fields.size("max_position_embeddings", 8192, 1 << 24);
  shape.embedding_scale = std::sqrt(static_cast<float>(shape.width));
  shape.norms = gemma2 ? gemma::Norms::pre_and_post : gemma::Norms::pre;
  shape.norm_eps = fields.number("rms_norm_eps", 1e-6f, 0, 1);
  shape.norm_offset = 1;
  shape.rope_theta = rope_theta(fields);
  if (shape.heads % shape.kv_heads != 0) {
    fields.fail("num_key_value_heads", "does not divide num_attention_heads");
  }
  if (shape.head_size % 2 != 0) fields.fail("head_dim", "must be even");
  if (shape.heads * shape.head_size > kMaxWidth) {
    fields.fail("head_dim", "all heads together are wider than " + std::to_string(kMaxWidth));
  }
  fields.refuse_unless("attention_bias", false);
  shape.window = windows(fields, shape.layers, gemma2);
  const auto cap = [&](const char* name, float absent) {
    return fields.is_null(name) ? kNoSoftCap : fields.number(name, absent, 1e-6f, 1e9f);
  };
  // PaliGemma caps the logits whenever its text_config says so; the class of Gemma 1 has no such field.
  shape.final_soft_cap = cap("final_logit_softcapping", gemma2 ? 30 : kNoSoftCap);

  if (!gemma2) {
    // The first release of Gemma said "gelu" and meant the tanh form.
    if (fields.text("hidden_act", "gelu") != "gelu") shape.gelu = gelu_form(fields, "hidden_act");
    shape.query_scale = 1.0f / std::sqrt(static_cast<float>(shape.head_size));
    return shape;
  }
  shape.gelu = gelu_form(fields, "hidden_activation");
  // Its default changed between releases, so it must be there.
  if (!fields.has("query_pre_attn_scalar")) fields.fail("query_pre_attn_scalar", "missing");
  shape.query_scale = 1.0f / std::sqrt(fields.number("query_pre_attn_scalar", 0, 1e-6f, 1e9f));
  shape.attention_soft_cap = cap("attn_logit_softcapping", 50);
  return shape;
}

MappedFile opened(const std::filesystem::path& path) {
  constexpr std::size_t kMaxBytes = 1 << 24;
  MappedFile file(path);
  if (file.bytes().size() > kMaxBytes) throw ModelFileError(path.string() + ": larger than 16 MiB");
  return file;
}

Fields fields_in(const std::filesystem::path& path) {
  return Fields(opened(path).text(), path.string());
}

// Both towers, as PaliGemma has them.
void read_joined_towers(const Fields& fields, Config& config) {
  config.vision = vision_shape(fields.object("vision_config"));
  config.architecture = is_gemma2(fields.object("text_config")) ? "paligemma2" : "paligemma";
  config.text = text_shape(fields.object("text_config"));
  config.tied_head = fields.flag("tie_word_embeddings", true);

  // The published files say image_token_index, later releases image_token_id, which counts if both are there.
  const char* image = fields.has("image_token_id") ? "image_token_id" : "image_token_index";
  if (!fields.has(image)) fields.fail("image_token_index", "missing");
  // It may stand right behind the table's rows, since it is never looked up.
  config.image_token = static_cast<TokenId>(fields.whole(image, config.text.vocabulary));
  config.end_tokens = end_tokens_of(fields);
  if (config.end_tokens.empty()) config.end_tokens = end_tokens_of(fields.object("text_config"));
}

// transformers' ColPali has a configuration of its own, colpali-engine's is PaliGemma's and says who wrote it.
void read_retrieval(const Fields& top, Config& config) {
  constexpr Index kUsualWidth = 128;
  if (top.text("model_type") == "colpali") {
    config.retrieval_width = top.size("embedding_dim", kUsualWidth, kMaxWidth);
  } else if (top.has("architectures") && !top.is_null("architectures")) {
    for (const std::string& name : top.texts("architectures")) {
      if (name != "ColPali") continue;
      config.retrieval_width = kUsualWidth;
      config.retrieval_width_is_open = true;
    }
  }
}

}  // namespace

Config parse_config(std::string_view text, const std::string& where, Towers towers) {
  const Fields top(text, where);
  if (top.has("class_name")) return keras_config(top);
  Config config;
  config.json = top.all();
  if (!top.has("model_type")) top.fail("model_type", "is missing; it must be \"paligemma\"");
  const std::string type = top.text("model_type");
  const bool is_siglip = type == "siglip" || type == "siglip_vision_model";
  config.pooling_head = towers == Towers::vision;
  if (is_siglip && towers == Towers::vision) {
    refuse_other_weights(top);
    config.architecture = "siglip";
    config.vision = vision_shape(type == "siglip" ? top.object("vision_config") : top);
    return config;
  }
  if (type != "paligemma" && type != "colpali") {
    top.fail("model_type", "\"" + type + "\" is not paligemma" +
                               (is_siglip ? "; `paligemma embed` takes its vision tower" : ""));
  }
  refuse_other_weights(top);
  const Fields joined = type == "colpali" ? top.object("vlm_config") : top;
  read_joined_towers(joined, config);
  read_retrieval(top, config);
  if (towers == Towers::vision) config.text.layers = 0;
  return config;
}

Config read_config(const std::filesystem::path& folder, Towers towers) {
  const auto main_file = folder / "config.json", generation = folder / "generation_config.json";
  const std::string other = other_model_in(folder);
  if (!other.empty() && (!is_there(main_file) || is_there(folder / "adapter_config.json"))) {
    throw ModelFileError(folder.string() + ": " + other);
  }
  Config config = parse_config(opened(main_file).text(), main_file.string(), towers);
  if (config.samples_picture) {
    const auto converter = folder / "image_converter.json";
    if (is_there(converter)) read_image_converter(fields_in(converter), config);
    return config;
  }
  if (is_there(generation)) {
    const Fields fields = fields_in(generation);
    const auto end_tokens = end_tokens_of(fields);
    if (!end_tokens.empty()) config.end_tokens = end_tokens;
    config.generation = generation_config_of(fields);
  }

  // Later releases save the picture's part inside processor_config.json, and read it there first.
  const auto preprocessor = folder / "preprocessor_config.json";
  const auto processor = folder / "processor_config.json";
  if (is_there(processor)) {
    const Fields fields = fields_in(processor);
    if (fields.has("image_processor")) {
      read_image_processor(fields.object("image_processor"), config);
      return config;
    }
  }
  if (is_there(preprocessor)) read_image_processor(fields_in(preprocessor), config);
  return config;
}

}  // namespace paligemma
