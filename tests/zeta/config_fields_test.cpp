// The table "Every argument" of docs/zeta/config.md, and what each of them does.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tensor/errors.h"
#include "tests/support/run_program.h"
#include "tests/support/source_dir.h"
#include "zeta/config.h"

namespace paligemma::zeta {
namespace {

using namespace test;
using nlohmann::json;

struct Argument {
  std::string where, name, standard, effect;  // standard: what holds if nothing is said
};

std::vector<Argument> table_of_the_page() {
  std::istringstream page(read_bytes(source_dir() + "/docs/zeta/config.md"));
  std::vector<Argument> table;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) inside = line == "## Every argument";
    if (!inside || !line.starts_with("| `")) continue;
    std::vector<std::string> cells;
    std::istringstream row(line.substr(1));
    for (std::string cell; std::getline(row, cell, '|');) {
      std::erase(cell, '`');
      cells.push_back(cell.size() > 2 ? cell.substr(1, cell.size() - 2) : "");
    }
    table.push_back({cells[0], cells[1], cells[2], cells[3]});
  }
  return table;
}

std::string all_of(const LayersShape& s) {
  std::ostringstream text;
  for (const BlockKind kind : s.blocks) text << int(kind);
  const auto& d = s.distance;
  const auto& f = s.feed_forward;
  text << s.causal << " " << s.width << " " << s.heads << " " << s.kv_heads << " " << s.head_size
       << " " << s.score_scale << " " << s.unit_groups << s.unit_scales << s.window << " "
       << s.turn_values << s.norm_memories << " " << d.alibi_heads << " " << d.buckets << " "
       << d.far << " " << d.mlp_layers << d.mlp_log << d.mlp_norm << " " << f.width << " "
       << int(f.activation) << f.gated << f.gate_scale << f.norm_hidden << f.bias << f.factor << " "
       << int(s.norm) << s.norm_before << s.norm_branch << s.dual << s.dual_scale
       << s.residual_scales << s.residual_factor;
  if (s.rotary) {
    text << " " << s.rotary->channels << " " << s.rotary->base << " " << s.rotary->interpolation
         << " " << s.rotary->xpos_scale_base;
  }
  return text.str();
}

std::string all_of(const TransformerShape& s) {
  std::ostringstream text;
  text << s.vocabulary << " " << s.outputs << " " << s.max_positions << " " << s.embedding_width
       << " " << int(s.positions) << s.unit_embeddings << s.norm_embeddings << s.tied_head << " "
       << s.memory_tokens << " " << s.memory_rows << " " << s.memory_shift << " "
       << all_of(s.layers);
  return text.str();
}

std::string all_of(const VisionShape& s) {
  std::ostringstream text;
  text << s.image_size << " " << s.patch_size << " " << s.channels << " " << s.classes << " "
       << s.norm_embeddings << all_of(s.layers);
  return text.str();
}

std::string all_of(const PalmEShape& s) { return all_of(s.vision) + " " + all_of(s.text); }

// Whatever a Config says, but for its JSON.
std::string all_of(const Config& config) {
  std::string text = std::visit([](const auto& shape) { return all_of(shape); }, config.model);
  for (const std::string& word : config.vocabulary) text += " " + word;
  for (const TokenId id : config.start_tokens) text += " " + std::to_string(id);
  return text + (config.eos_token ? " ends with " + std::to_string(*config.eos_token) : "");
}

// A model whose config.json has the place, with what is required and nothing else.
json smallest(const std::string& where) {
  if (where == "PalmE") return {{"architectures", {"PalmE"}}};
  const bool vision = where == "ViTransformerWrapper";
  json object = {
      {"architectures", {vision ? where : "ZetaTransformer"}},
      {"attn_layers", {{"type", vision ? "Encoder" : "Decoder"}, {"dim", 24}, {"depth", 2}}}};
  object.update(vision ? json{{"image_size", 24}, {"patch_size", 8}}
                       : json{{"num_tokens", 3}, {"max_seq_len", 24}});
  return object;
}

json& part(json& object, const std::string& where) {
  return where == "attn_layers" ? object[where] : object;
}

// What comes of an argument beside others, in the page's words, or an error that does not name it.
std::string effect(const Argument& argument, const json& value, const json& others) {
  json object = smallest(argument.where);
  part(object, argument.where).update(others);
  const std::string before = all_of(parse_config(object.dump(), "config.json"));
  part(object, argument.where)[argument.name] = value;
  try {
    return all_of(parse_config(object.dump(), "config.json")) == before ? "no effect" : "honoured";
  } catch (const ModelFileError& error) {
    const std::string said = error.what();
    return said.find("." + argument.name) == said.npos ? said : "refused";
  }
}

struct Row {
  const char* names;  // of one or more arguments
  const char* value;
  const char* effect;
  const char* others = "{}";
};

constexpr const char* kTied = R"({"tie_embedding": true})";
constexpr const char* kUnit = R"({"attn_qk_norm": true})";
constexpr const char* kRotary = R"({"rotary_pos_emb": true})";
constexpr const char* kT5 = R"({"rel_pos_bias": true})";
constexpr const char* kMlp = R"({"dynamic_pos_bias": true})";

// Values that those models do not have.
const std::map<std::string, std::vector<Row>> kRows{
    {"config.json",
     {{"architectures", R"(["Another"])", "refused"},
      {"numerics", R"("defined")", "honoured"},
      {"vocabulary", R"(["a", "b", "c"])", "honoured"},
      {"vocabulary", R"(["a", "b"])", "refused"},
      {"start_tokens", "[0, 1]", "honoured"},
      {"eos_token", "0", "honoured"}}},
    {"PalmE",
     {{"image_size patch_size", "64", "honoured"},
      {"patch_size", "7", "refused"},
      {"encoder_depth encoder_heads decoder_depth decoder_heads alibi_num_heads", "5", "honoured"},
      {"num_tokens max_seq_len", "100", "honoured"},
      {"encoder_dim", "64", "honoured", R"({"cross_attend": false})"},
      {"decoder_dim", "64", "honoured", R"({"cross_attend": false})"},
      {"decoder_dim", "64", "refused"},
      {"use_abs_pos_emb", "true", "honoured", R"({"rotary_xpos": false})"},
      {"use_abs_pos_emb", "true", "no effect"},
      {"cross_attend alibi_pos_bias rotary_xpos", "false", "honoured"},
      {"qk_norm", "false", "honoured", R"({"numerics": "defined"})"},
      {"qk_norm", "false", "no effect"},
      {"attn_flash", "false", "honoured", R"({"numerics": {"qk_norm": "defined"}})"},
      {"attn_flash", "false", "no effect"}}},
    {"ZetaTransformer",
     {{"num_tokens max_seq_len emb_dim max_mem_len num_memory_tokens logits_dim", "7", "honoured"},
      {"attn_layers", R"({"type": "Encoder", "dim": 8, "depth": 1})", "honoured"},
      {"attn_layers", "7", "refused"},
      {"shift_mem_down", "1", "honoured"},
      {"post_emb_norm tie_embedding scaled_sinu_pos_emb l2norm_embed", "true", "honoured"},
      {"use_abs_pos_emb", "false", "honoured"},
      {"logits_dim", "7", "no effect", kTied}}},
    {"ViTransformerWrapper",
     {{"image_size", "32", "honoured"},
      {"patch_size", "6", "honoured"},
      {"channels num_classes", "2", "honoured"},
      {"post_emb_norm", "true", "honoured"},
      {"attn_layers", R"({"type": "Encoder", "dim": 8, "depth": 1})", "honoured"},
      {"attn_layers", R"({"type": "Decoder", "dim": 8, "depth": 1})", "refused"}}},
    {"attn_layers",
     {{"type", R"("Encoder")", "honoured"},
      {"type", R"("Middle")", "refused"},
      {"dim depth heads attn_dim_head ff_mult", "5", "honoured"},
      {"heads", "5.5", "refused"},
      {"cross_attend use_scalenorm use_rmsnorm use_simple_rmsnorm alibi_pos_bias rel_pos_bias "
       "dynamic_pos_bias rotary_pos_emb rotary_xpos macaron scale_residual deepnorm sandwich_norm "
       "resi_dual attn_one_kv_head attn_qk_norm ff_glu ff_swish ff_relu_squared ff_post_act_ln "
       "ff_no_bias",
       "true", "honoured"},
      {"only_cross", "true", "honoured", R"({"cross_attend": true})"},
      {"only_cross", "true", "no effect"},
      {"alibi_num_heads", "3", "honoured", R"({"alibi_pos_bias": true})"},
      {"alibi_num_heads", "9", "refused", R"({"alibi_pos_bias": true})"},
      {"rel_pos_num_buckets", "7", "honoured", kT5},
      {"rel_pos_max_distance", "200", "honoured", kT5},
      {"dynamic_pos_bias_log_distance dynamic_pos_bias_norm", "true", "honoured", kMlp},
      {"dynamic_pos_bias_mlp_depth", "3", "honoured", kMlp},
      {"rotary_emb_dim", "34", "honoured", kRotary},
      {"rotary_emb_dim", "66", "refused", kRotary},
      {"rotary_interpolation_factor rotary_base_rescale_factor", "2", "honoured", kRotary},
      {"rotary_xpos_scale_base", "16", "honoured", R"({"rotary_xpos": true})"},
      {"custom_layers", R"(["a", "f"])", "honoured"},
      {"custom_layers", R"(["b"])", "refused"},
      {"sandwich_coef", "1", "honoured"},
      {"par_ratio", "3", "honoured"},
      {"pre_norm", "false", "honoured"},
      {"scale_residual_constant", "1.5", "honoured"},
      {"resi_dual_scale", "0.5", "honoured"},
      {"residual_attn cross_residual_attn gate_residual attn_talking_heads attn_head_scale "
       "attn_on_attn attn_gate_values attn_shared_kv attn_tensor_product attn_cascading_heads "
       "attn_add_zero_kv",
       "true", "refused"},
      {"shift_tokens attn_sparse_topk attn_num_mem_kv attn_value_dim_head ff_dim_out", "2",
       "refused"},
      {"attn_flash", "true", "honoured", kUnit},
      {"attn_flash", "true", "no effect"},
      {"attn_kv_heads", "2", "honoured"},
      {"attn_qk_norm_groups", "2", "honoured", kUnit},
      {"attn_qk_norm_scale", "3", "honoured", kUnit},
      {"attn_qk_norm_dim_scale", "true", "honoured", kUnit},
      {"attn_max_attend_past", "4", "honoured"},
      {"ff_glu_mult_bias", "true", "honoured", R"({"ff_glu": true})"}}}};

bool names(const Row& row, const std::string& name) {
  return (" " + std::string(row.names) + " ").find(" " + name + " ") != std::string::npos;
}

TEST(ZetaConfig, ArgumentsDoWhatThePageSays) {
  const auto page = table_of_the_page();
  EXPECT_EQ(page.size(), 121u);
  for (const Argument& argument : page) {
    const std::string at = argument.where + " " + argument.name;
    bool seen = argument.effect == "no effect";
    for (const Row& row : kRows.at(argument.where)) {
      if (!names(row, argument.name)) continue;
      const json others = json::parse(row.others);
      EXPECT_EQ(effect(argument, json::parse(row.value), others), row.effect) << at << row.value;
      seen = seen || row.effect == argument.effect;
    }
    EXPECT_TRUE(seen) << at << " is not " << argument.effect;
    if (argument.effect == "no effect") {
      for (const char* value : {"7", "true", R"("another")", "[1]", R"({"a": 1})", "null"}) {
        EXPECT_EQ(effect(argument, json::parse(value), json::object()), "no effect") << at << value;
      }
    }
  }
}

TEST(ZetaConfig, ArgumentsHaveTheDefaultsOfThePage) {
  for (const Argument& argument : table_of_the_page()) {
    const std::string at = argument.where + " " + argument.name;
    if (argument.standard == "–") {
      EXPECT_EQ(effect(argument, nullptr, json::object()), "refused") << at;
      continue;
    }
    for (const Row& row : kRows.at(argument.where)) {
      if (names(row, argument.name)) {
        const json value = json::parse(argument.standard);
        EXPECT_EQ(effect(argument, value, json::parse(row.others)), "no effect") << at;
      }
    }
  }
}

TEST(ZetaConfig, ArgumentsAreAllOnThePage) {
  const auto page = table_of_the_page();
  for (const auto& [where, rows] : kRows) {
    for (const Row& row : rows) {
      std::istringstream all(row.names);
      for (std::string name; all >> name;) {
        bool found = false;
        for (const Argument& argument : page) {
          found = found || (argument.where == where && argument.name == name);
        }
        EXPECT_TRUE(found) << where << " " << name;
      }
    }
  }
}

}  // namespace
}  // namespace paligemma::zeta
