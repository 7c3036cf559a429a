#include "zeta/config.h"

#include "tensor/errors.h"
#include "tensor/mapped_file.h"
#include "zeta/arguments.h"
#include "zeta/config_layers.h"

namespace paligemma::zeta {
namespace {

constexpr Index kMaxVocabulary = 1 << 24;
constexpr Index kMaxPositions = 1 << 24;
constexpr Index kMaxImageSize = 1 << 14;

// Of any of the models.
constexpr const char* kArchitectures = "architectures";
constexpr const char* kNumerics = "numerics";
constexpr const char* kVocabulary = "vocabulary";
constexpr const char* kStart = "start_tokens";
constexpr const char* kEnd = "eos_token";

bool is_zetas(const std::string& name, const JsonFields& fields) {
  const std::string choice = fields.text(name, "zeta");
  if (choice != "zeta" && choice != "defined") {
    fields.fail(name, "\"" + choice + "\" is neither zeta nor defined");
  }
  return choice == "zeta";
}

Numerics numerics_of(Arguments& given, const JsonFields& top) {
  if (!given.has(kNumerics)) return {};
  if (!top.is_object(kNumerics)) {
    const bool zetas = is_zetas(kNumerics, top);
    return {zetas, zetas, zetas, zetas};
  }
  const JsonFields each = top.object(kNumerics);
  Arguments fields(each);
  fields.without_effect({"score_scale", "turn_values", "norm_memories", "qk_norm"});
  fields.refuse_others(kNumerics);
  return {is_zetas("score_scale", each), is_zetas("turn_values", each),
          is_zetas("norm_memories", each), is_zetas("qk_norm", each)};
}

void set_picture(Arguments& given, Index image_size, Index patch_size, VisionShape& shape) {
  shape.image_size = image_size;
  shape.patch_size = patch_size;
  if (image_size % patch_size != 0) given.fail("patch_size", "does not divide image_size");
}

VisionShape vision_shape(Arguments& given, const Numerics& numerics) {
  VisionShape shape;
  const Index image_size = given.size("image_size", kMaxImageSize);
  set_picture(given, image_size, given.size("patch_size", kMaxImageSize), shape);
  shape.channels = given.size("channels", 3, kMaxWidth);
  shape.classes = given.size("num_classes", 0, kMaxVocabulary);
  shape.norm_embeddings = given.flag("post_emb_norm");
  given.without_effect({"emb_dropout"});
  const JsonFields layers = given.object("attn_layers");
  if (layers.text("type", "") != "Encoder") given.fail("attn_layers", "must be an Encoder");
  shape.layers = layers_shape(layers, numerics);
  if (shape.layers.count(BlockKind::cross_attention) > 0) {
    given.fail("attn_layers", "a picture's rows have nothing to cross-attend to");
  }
  return shape;
}

TransformerShape transformer_shape(Arguments& given, const Numerics& numerics) {
  TransformerShape shape;
  const JsonFields layers = given.object("attn_layers");
  shape.layers = layers_shape(layers, numerics);
  shape.vocabulary = given.size("num_tokens", kMaxVocabulary);
  shape.max_positions = given.size("max_seq_len", kMaxPositions);
  shape.embedding_width = given.size("emb_dim", shape.layers.width, kMaxWidth);
  shape.memory_rows = given.whole("max_mem_len", 0, kMaxPositions);
  shape.memory_shift = given.whole("shift_mem_down", 0, kMaxLayers);
  shape.memory_tokens = given.whole("num_memory_tokens", 0, kMaxWidth);
  shape.norm_embeddings = given.flag("post_emb_norm");
  shape.unit_embeddings = given.flag("l2norm_embed");
  shape.tied_head = given.flag("tie_embedding");
  shape.outputs = given.size("logits_dim", shape.vocabulary, kMaxVocabulary);
  const bool sines = given.flag("scaled_sinu_pos_emb");
  const bool positions = given.flag("use_abs_pos_emb", true);
  // ALiBi and the MLP do not count as positions.
  const bool has_others = shape.layers.rotary || shape.layers.distance.buckets > 0;
  shape.positions = !positions || has_others ? Positions::none
                    : sines                  ? Positions::sinusoidal
                                             : Positions::learned;
  given.without_effect({"emb_dropout", "emb_frac_gradient", "attn_z_loss_weight"});

  if (shape.memory_shift > shape.layers.count(BlockKind::self_attention)) {
    given.fail("shift_mem_down", "more than there are self-attentions");
  }
  if (shape.positions == Positions::sinusoidal && shape.embedding_width % 2 != 0) {
    given.fail("scaled_sinu_pos_emb", "sines and cosines need an even width");
  }
  if (shape.tied_head) {
    shape.outputs = shape.vocabulary;
    if (shape.embedding_width != shape.layers.width) {
      given.fail("tie_embedding", "emb_dim is not dim, so no table of words is a head");
    }
  }
  return shape;
}

// zeta.models.palme, line by line: what it passes to the two constructors.
PalmEShape palme_shape(Arguments& given, const Numerics& numerics, const std::string& where) {
  PalmEShape shape;
  const auto layers = [&](const char* type, Index dim, Index depth, Index heads,
                          std::vector<Field> more = {}) {
    more.insert(more.end(), {{"type", type}, {"dim", dim}, {"depth", depth}, {"heads", heads}});
    return JsonFields(object(more).text(), where);
  };
  const Index encoder_dim = given.size("encoder_dim", 512, kMaxWidth);
  const Index encoder_depth = given.size("encoder_depth", 6, kMaxLayers);
  const Index encoder_heads = given.size("encoder_heads", 8, kMaxWidth);
  const Index image_size = given.size("image_size", 256, kMaxImageSize);
  set_picture(given, image_size, given.size("patch_size", 32, kMaxImageSize), shape.vision);
  shape.vision.layers =
      layers_shape(layers("Encoder", encoder_dim, encoder_depth, encoder_heads), numerics);

  const Index dim = given.size("decoder_dim", 512, kMaxWidth);
  const Index depth = given.size("decoder_depth", 6, kMaxLayers);
  const Index heads = given.size("decoder_heads", 8, kMaxWidth);
  const bool cross = given.flag("cross_attend", true), xpos = given.flag("rotary_xpos", true);
  const bool qk_norm = given.flag("qk_norm", true) && !numerics.lost_qk_norm;
  TransformerShape& text = shape.text;
  text.layers =
      layers_shape(layers("Decoder", dim, depth, heads,
                          {{"cross_attend", cross},
                           {"alibi_pos_bias", given.flag("alibi_pos_bias", true)},
                           {"alibi_num_heads", given.size("alibi_num_heads", 4, kMaxWidth)},
                           {"rotary_xpos", xpos},
                           {"attn_flash", given.flag("attn_flash", true)},
                           {"attn_qk_norm", qk_norm}}),
                   numerics);
  text.vocabulary = text.outputs = given.size("num_tokens", 20000, kMaxVocabulary);
  text.max_positions = given.size("max_seq_len", 1024, kMaxPositions);
  text.embedding_width = dim;
  const bool positions = given.flag("use_abs_pos_emb") && !xpos;
  text.positions = positions ? Positions::learned : Positions::none;
  if (cross && encoder_dim != dim) {
    given.fail("decoder_dim", "must be encoder_dim, whose rows it looks at");
  }
  return shape;
}

std::string architecture_of(const JsonFields& top) {
  const auto all =
      top.is_list(kArchitectures) ? top.texts(kArchitectures) : std::vector<std::string>{};
  return all.size() == 1 ? all[0] : "";
}

bool is_known(const std::string& architecture) {
  return architecture == "PalmE" || architecture == "ZetaTransformer" ||
         architecture == "ViTransformerWrapper";
}

// What stands beside a constructor's arguments.
void read_words(Arguments& given, const JsonFields& top, Index vocabulary, Config& config) {
  if (given.has(kVocabulary)) {
    config.vocabulary = given.texts(kVocabulary);
    if (static_cast<Index>(config.vocabulary.size()) != vocabulary) {
      given.fail(kVocabulary, "must have num_tokens words, " + std::to_string(vocabulary));
    }
  }
  if (given.has(kStart)) {
    for (const Index id : top.whole_numbers(kStart, vocabulary - 1)) {
      config.start_tokens.push_back(static_cast<TokenId>(id));
    }
  }
  if (given.has(kEnd)) config.eos_token = static_cast<TokenId>(top.whole(kEnd, vocabulary - 1));
}

}  // namespace

bool is_zeta_config(std::string_view text) {
  try {
    return is_known(architecture_of(JsonFields(text, "")));
  } catch (const ModelFileError&) {
    return false;
  }
}

Config parse_config(std::string_view text, const std::string& where) {
  const JsonFields top(text, where);
  const std::string architecture = architecture_of(top);
  if (!is_known(architecture)) {
    top.fail(kArchitectures,
             "must be [\"PalmE\"], [\"ZetaTransformer\"] or [\"ViTransformerWrapper\"]");
  }
  Arguments given(top);
  given.without_effect({kArchitectures});
  Config config;
  config.json = top.all();
  const Numerics numerics = numerics_of(given, top);
  if (architecture == "PalmE") {
    const PalmEShape shape = palme_shape(given, numerics, where);
    read_words(given, top, shape.text.vocabulary, config);
    config.model = shape;
  } else if (architecture == "ZetaTransformer") {
    const TransformerShape shape = transformer_shape(given, numerics);
    read_words(given, top, shape.vocabulary, config);
    config.model = shape;
  } else {
    config.model = vision_shape(given, numerics);
  }
  given.refuse_others(architecture);
  return config;
}

Config read_config(const std::filesystem::path& folder) {
  constexpr std::size_t kMaxBytes = 1 << 24;
  const auto path = folder / "config.json";
  const MappedFile file(path);
  if (file.bytes().size() > kMaxBytes) throw ModelFileError(path.string() + ": larger than 16 MiB");
  return parse_config(file.text(), path.string());
}

}  // namespace paligemma::zeta
