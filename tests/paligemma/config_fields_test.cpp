// The table "Every field" of docs/paligemma/config.md, and what each of its fields does.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "paligemma/config.h"
#include "tensor/errors.h"
#include "tests/support/run_program.h"
#include "tests/support/source_dir.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

// (where, field) -> what the page says of it, which may be two things.
using Table = std::map<std::pair<std::string, std::string>, std::set<std::string>>;

Table table_of_the_page() {
  std::istringstream page(read_bytes(source_dir() + "/docs/paligemma/config.md"));
  Table table;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) inside = line == "## Every field";
    if (!inside || !line.starts_with("| ")) continue;
    std::vector<std::string> cells;
    std::istringstream row(line.substr(1));
    for (std::string cell; std::getline(row, cell, '|');) {
      if (cell.size() > 2) cells.push_back(cell.substr(1, cell.size() - 2));
    }
    if (cells[0] == "Where") continue;
    std::string where = cells[0];
    std::erase(where, '`');
    for (std::size_t begin = 0; (begin = cells[1].find('`', begin)) != std::string::npos;) {
      const std::size_t end = cells[1].find('`', begin + 1);
      table[{where, cells[1].substr(begin + 1, end - begin - 1)}].insert(cells[2]);
      begin = end + 1;
    }
  }
  return table;
}

// Whatever a Config says, but for its JSON.
std::string all_of(const Config& c) {
  std::ostringstream text;
  const auto& v = c.vision;
  const auto& t = c.text;
  for (const Index size :
       {v.image_size, v.patch_size, v.width, v.mlp_width, v.heads, v.layers, t.vocabulary, t.width,
        t.mlp_width, t.layers, t.heads, t.kv_heads, t.head_size, t.max_positions}) {
    text << size << " ";
  }
  for (const float number : {v.norm_eps, t.embedding_scale, t.norm_eps, t.norm_offset, t.rope_theta,
                             t.query_scale, t.attention_soft_cap, t.final_soft_cap}) {
    text << number << " ";
  }
  text << c.architecture << int(v.gelu) << int(t.gelu) << int(t.norms) << int(c.resample)
       << c.retrieval_width << " " << c.tied_head << c.blends_alpha << " " << c.image_token << " "
       << c.pixel_scale.rescale << " ";
  for (const Index window : t.window) text << window << " ";
  for (const TokenId id : c.end_tokens) text << id << " ";
  for (const float number : c.pixel_scale.mean) text << number << " ";
  for (const float number : c.pixel_scale.std) text << number << " ";
  const GenerationConfig& g = c.generation;
  text << g.max_tokens.value_or(0) << " " << g.lookup << " " << g.answers << " "
       << g.sampler.temperature << " " << g.sampler.top_k << " " << g.sampler.top_p << " "
       << g.rules.repetition_penalty << " " << g.rules.no_repeat_ngram << " " << g.rules.min_p
       << " " << g.beams.beams << " " << g.beams.length_penalty << " "
       << int(g.beams.early_stopping) << " " << g.contrast.alpha << " ";
  for (const TokenId id : g.rules.suppressed) text << id << " ";
  for (const std::string& stop : g.stop) text << stop << " ";
  return text.str();
}

constexpr const char* kMain = "config.json";
constexpr const char* kGeneration = "generation_config.json";
constexpr const char* kPicture = "preprocessor_config.json";

// A small model's folder, whose files say what transformers 5.23 writes.
class Folder {
 public:
  explicit Folder(bool gemma2) {
    const std::string golden = source_dir() + "/tests/golden/paligemma" + (gemma2 ? "2/" : "1/");
    for (const char* name : {kMain, kGeneration, kPicture})
      files_[name] = json::parse(read_bytes(golden + name));
    files_[kMain]["eos_token_id"] = 1;
    files_[kPicture]["resample"] = 3;
    write(files_);
    before_ = all_of(read_config(folder_.path()));
  }

  // What comes of one field, in the page's words, or an error that does not name it.
  std::string effect(const std::string& where, const std::string& field, const json& value) const {
    auto files = files_;
    json &config = files[kMain], &text = config["text_config"], &picture = files[kPicture];
    const bool in_text = where.starts_with("text_config");
    // What hides the field or must change with it.
    if (field == "eos_token_id" && where != kGeneration) files[kGeneration] = json::object();
    if (field == "eos_token_id" && in_text) config.erase(field);
    if (field == "rope_theta") text.erase("rope_parameters");
    if (field == "vision_config" || field == "image_size" || field == "patch_size")
      picture = json::object();
    if (field == "feature_extractor_type") picture.erase("image_processor_type");
    if (field == "do_pad") picture["pad_size"] = {{"height", 64}, {"width", 64}};
    if (field == "model_type" && in_text) {
      for (const char* other : {"sliding_window", "layer_types"}) text.erase(other);
      text["query_pre_attn_scalar"] = 14;
    }
    (where == kMain             ? config
     : where == "vision_config" ? config[where]
     : in_text                  ? text
     : where == kGeneration     ? files[kGeneration]
                                : picture)[field] = value;
    write(files);
    try {
      const Config after = read_config(folder_.path());
      const std::string& note = after.generation.note;
      if (!note.empty()) return note.ends_with(" " + field) ? "noted" : note;
      return all_of(after) == before_ ? "no effect" : "honoured";
    } catch (const ModelFileError& error) {
      const std::string said = error.what();
      return said.find("." + field) == said.npos ? said : "refused";
    }
  }

 private:
  void write(const std::map<std::string, json>& files) const {
    for (const auto& [name, text] : files) {
      std::filesystem::remove(folder_ / name);  // a file that is cut to nothing may be waited for
      write_text(folder_ / name, text.dump());
    }
  }

  TemporaryFolder folder_;
  std::map<std::string, json> files_;
  std::string before_;
};

struct Row {
  const char* fields;  // one or more
  const char* value;
  const char* effect;
};
// Values that those models do not have. Fields that have no row here are without effect.
const std::map<std::string, std::vector<Row>> kRows{
    {"config.json",
     {{"model_type", R"("gemma")", "refused"},
      {"text_config", R"({"model_type": "gemma"})", "honoured"},
      {"vision_config", "{}", "honoured"},
      {"image_token_index image_token_id", "7", "honoured"},
      {"tie_word_embeddings", "false", "honoured"},
      {"eos_token_id", "7", "honoured"},
      {"eos_token_id", "[7, 8]", "honoured"},
      {"architectures", R"(["ColPali"])", "honoured"},
      {"architectures", R"(["PaliGemmaForConditionalGeneration"])", "no effect"},
      {"architectures", "null", "no effect"},
      {"quantization_config", R"({"quant_method": "gptq"})", "refused"},
      {"quantization_config", "{}", "no effect"},
      {"per_layer_config", R"({"0": {"rms_norm_eps": 0.1}})", "refused"},
      {"per_layer_config", "null", "no effect"}}},
    {"vision_config",
     {{"hidden_size intermediate_size", "72", "honoured"},
      {"num_hidden_layers num_attention_heads", "1", "honoured"},
      {"patch_size", "3", "honoured"},
      {"image_size", "48", "honoured"},
      {"image_size patch_size", "[32, 32]", "refused"},
      {"hidden_act", R"("gelu")", "honoured"},
      {"layer_norm_eps", "0.1", "honoured"},
      {"num_channels", "1", "refused"},
      {"model_type", R"("clip_vision_model")", "refused"},
      {"model_type", "null", "no effect"},
      {"quantization_config", R"({"quant_method": "awq"})", "refused"},
      {"per_layer_config", R"({"0": {"layer_norm_eps": 0.1}})", "refused"}}},
    {"text_config",
     {{"model_type", R"("gemma3_text")", "refused"},
      {"vocab_size hidden_size intermediate_size", "7200", "honoured"},
      {"head_dim", "8", "honoured"},
      {"max_position_embeddings", "64", "honoured"},
      {"rms_norm_eps", "0.1", "honoured"},
      {"rope_theta", "50", "honoured"},
      {"rope_parameters rope_scaling", R"({"rope_theta": 50})", "honoured"},
      {"rope_parameters rope_scaling", R"({"type": "default"})", "no effect"},
      {"rope_parameters rope_scaling", R"({"type": "linear", "factor": 4})", "refused"},
      {"rope_parameters rope_scaling", R"({"rope_type": "dynamic", "factor": 4})", "refused"},
      {"rope_parameters", R"({"full_attention": {"rope_theta": 10000}})", "refused"},
      {"final_logit_softcapping", "2", "honoured"},
      {"eos_token_id", "7", "honoured"},
      {"attention_bias", "true", "refused"},
      {"quantization_config", R"({"quant_method": "bitsandbytes"})", "refused"},
      {"per_layer_config", R"({"0": {"rms_norm_eps": 0.1}})", "refused"}}},
    {"text_config of Gemma",
     {{"model_type", R"("gemma2")", "honoured"},
      {"num_attention_heads", "8", "honoured"},
      {"num_key_value_heads num_hidden_layers", "2", "honoured"},
      {"hidden_act", R"("gelu_python")", "honoured"},
      {"hidden_act", R"("gelu")", "no effect"},
      {"hidden_act", R"("silu")", "refused"},
      {"sliding_window", "3", "refused"},
      {"sliding_window", "null", "no effect"},
      {"layer_types", R"(["full_attention", "full_attention", "full_attention"])", "no effect"},
      {"layer_types", R"(["full_attention", "sliding_attention", "full_attention"])", "refused"},
      {"layer_types", R"(["full_attention"])", "refused"}}},
    {"text_config of Gemma 2",
     {{"model_type", R"("gemma")", "honoured"},
      {"num_attention_heads", "8", "honoured"},
      {"num_key_value_heads", "1", "honoured"},
      {"hidden_activation", R"("gelu")", "honoured"},
      {"attn_logit_softcapping query_pre_attn_scalar sliding_window", "3", "honoured"},
      {"attn_logit_softcapping sliding_window final_logit_softcapping", "null", "honoured"},
      {"layer_types", R"(["full_attention", "full_attention", "full_attention", "full_attention"])",
       "honoured"}}},
    {"image processor",
     {{"do_convert_rgb", "true", "honoured"},
      {"do_rescale do_normalize", "null", "honoured"},
      {"do_rescale do_normalize", "false", "honoured"},
      {"rescale_factor image_mean image_std", "0.25", "honoured"},
      {"image_mean image_std", "0.5", "no effect"},
      {"image_mean image_std", "[0.1, 0.2, 0.3]", "honoured"},
      {"image_mean image_std", "[0.5]", "refused"},
      {"rescale_factor image_mean image_std resample size", "null", "refused"},
      {"resample", "2", "honoured"},
      {"resample", "1", "refused"},
      {"do_resize", "null", "refused"},
      {"do_resize", "false", "refused"},
      {"do_center_crop do_pad", "true", "refused"},
      {"do_center_crop do_pad", "null", "no effect"},
      {"size", R"({"height": 16, "width": 16})", "refused"},
      {"size", R"({"shortest_edge": 32})", "refused"},
      {"size", "32", "refused"},
      {"image_processor_type feature_extractor_type", R"("CLIPImageProcessor")", "refused"},
      {"image_processor_type feature_extractor_type", R"("SiglipImageProcessorFast")", "no effect"},
      {"image_seq_length", "7", "refused"}}},
    {"generation_config.json",
     {{"eos_token_id", "7", "honoured"},
      {"repetition_penalty", "1.5", "honoured"},
      {"no_repeat_ngram_size num_beams max_new_tokens prompt_lookup_num_tokens", "3", "honoured"},
      {"suppress_tokens", "[3]", "honoured"},
      {"stop_strings", R"(["end"])", "honoured"},
      {"do_sample", "true", "honoured"},
      {"penalty_alpha", "0.5", "honoured"},
      {"encoder_repetition_penalty guidance_scale", "1.5", "noted"},
      {"encoder_no_repeat_ngram_size num_beam_groups min_length min_new_tokens max_length max_time "
       "num_return_sequences prefill_chunk_size forced_bos_token_id forced_eos_token_id",
       "3", "noted"},
      {"begin_suppress_tokens bad_words_ids force_words_ids constraints sequence_bias "
       "exponential_decay_length_penalty",
       "[3]", "noted"},
      {"suppress_tokens begin_suppress_tokens stop_strings", "[]", "no effect"},
      {"remove_invalid_values token_healing use_mtp", "true", "noted"},
      {"dola_layers", R"("high")", "noted"},
      {"watermarking_config", R"({"bias": 2})", "noted"},
      {"penalty_alpha", "0", "no effect"},
      {"repetition_penalty num_beams", "1", "no effect"}}}};

bool names(const Row& row, const std::string& field) {
  return (" " + std::string(row.fields) + " ").find(" " + field + " ") != std::string::npos;
}

// Whether rows are of a place: rows of one Gemma are, too, of a text_config's fields that both have.
bool fit(const std::string& rows_of, const std::string& where) {
  return rows_of == where || (where == "text_config" && rows_of.starts_with(where));
}

TEST(ConfigFields, DoWhatThePageSays) {
  const Folder gemma(false), gemma2(true);
  const Table page = table_of_the_page();
  EXPECT_GT(page.size(), 200u);
  for (const auto& [place, said] : page) {
    const auto& [where, field] = place;
    std::set<std::string> seen;
    const auto try_value = [&, &where = where, &field = field](const std::string& rows_of,
                                                               const std::string& value,
                                                               const std::string& effect) {
      seen.insert(effect);
      const std::string at = where + " " + field + " " + value;
      const json parsed = json::parse(value);
      if (rows_of != "text_config of Gemma 2") {
        EXPECT_EQ(gemma.effect(where, field, parsed), effect) << at;
      }
      if (rows_of != "text_config of Gemma") {
        EXPECT_EQ(gemma2.effect(where, field, parsed), effect) << at;
      }
    };
    for (const auto& [rows_of, rows] : kRows) {
      for (const Row& row : rows) {
        if (fit(rows_of, where) && names(row, field)) try_value(rows_of, row.value, row.effect);
      }
    }
    for (const char* value : {"7", "true", R"("another")", "[1]", R"({"a": 1})", "null"}) {
      if (said.contains("no effect")) try_value(where, value, "no effect");
    }
    for (const std::string& effect : said) {
      EXPECT_TRUE(seen.contains(effect)) << where << " " << field << " is not " << effect;
    }
  }
}

TEST(ConfigFields, AreAllOnThePage) {
  const Table page = table_of_the_page();
  for (const auto& [rows_of, rows] : kRows) {
    for (const Row& row : rows) {
      const bool found =
          std::any_of(page.begin(), page.end(), [&, &where = rows_of](const auto& entry) {
            return fit(where, entry.first.first) && names(row, entry.first.second);
          });
      EXPECT_TRUE(found) << rows_of << " " << row.fields;
    }
  }
}

}  // namespace
}  // namespace paligemma
