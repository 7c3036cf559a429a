#include "processing/tokenizer_settings.h"

#include <algorithm>
#include <string>
#include <vector>

namespace paligemma {
namespace {

void refuse_unknown(const JsonFields& fields, const std::vector<std::string>& known) {
  for (const std::string& name : fields.names()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      fields.fail(name, "not known, so it may change ids");
    }
  }
}

// The field is one of these, as one line of JSON with its names in order.
void expect_one_of(const JsonFields& fields, const std::string& name,
                   const std::vector<std::string>& texts) {
  const std::string found = fields.is_object(name) ? fields.object(name).all() : "null";
  const bool is_value = fields.has(name) && !fields.is_object(name);
  if (is_value || std::find(texts.begin(), texts.end(), found) == texts.end()) {
    constexpr std::size_t kMost = 80;
    fields.fail(name, (is_value ? "no object" : found.substr(0, kMost)) +
                          (found.size() > kMost ? "..." : "") + " is not a Gemma tokenizer's");
  }
}

// Only <bos> and <eos> are put around a text, where the prompt has its own.
void check_post_processor(const JsonFields& fields) {
  if (!fields.has("post_processor")) return;
  const JsonFields processor = fields.object("post_processor");
  const std::string type = processor.text("type");
  if (type != "TemplateProcessing") processor.fail("type", type + " is not a Gemma tokenizer's");
  for (const JsonFields& part : processor.objects("single")) {
    if (!part.has("SpecialToken")) continue;
    const std::string id = part.object("SpecialToken").text("id");
    if (id != "<bos>" && id != "<eos>") processor.fail("single", id + " is put around a text");
  }
}

}  // namespace

void check_tokenizer_settings(const JsonFields& fields) {
  refuse_unknown(fields, {"version", "truncation", "padding", "added_tokens", "normalizer",
                          "pre_tokenizer", "post_processor", "decoder", "model"});
  const JsonFields model = fields.object("model");
  if (const std::string type = model.text("type", "BPE"); type != "BPE") {
    model.fail("type", type + " is not supported, only BPE is");
  }
  refuse_unknown(model, {"type", "dropout", "unk_token", "continuing_subword_prefix",
                         "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges"});
  if (model.number("dropout", 0, 0, 1) != 0) model.fail("dropout", "not supported");
  if (const std::string unk = model.text("unk_token"); unk != "<unk>") {
    model.fail("unk_token", unk + " is not <unk>");
  }
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.text(name, "").empty()) model.fail(name, "not supported");
  }
  if (!model.flag("byte_fallback", false)) model.fail("byte_fallback", "must be true");
  model.refuse_unless("ignore_merges", false);

  if (const std::string version = fields.text("version", "1.0"); version != "1.0") {
    fields.fail("version", version + " is not 1.0");
  }
  const std::string blanks = R"({"content":"▁","pattern":{"String":" "},"type":"Replace"})";
  expect_one_of(fields, "normalizer",
                {blanks, R"({"normalizers":[)" + blanks + R"(],"type":"Sequence"})"});
  // No blank is left for it to split at.
  const std::string split =
      R"({"behavior":"MergedWithPrevious","invert":false,"pattern":{"String":" "},"type":"Split"})";
  expect_one_of(fields, "pre_tokenizer",
                {"null", split, R"({"pretokenizers":[)" + split + R"(],"type":"Sequence"})"});
  expect_one_of(fields, "decoder",
                {R"({"decoders":[{"content":" ","pattern":{"String":"▁"},"type":"Replace"},)"
                 R"({"type":"ByteFallback"},{"type":"Fuse"}],"type":"Sequence"})"});
  check_post_processor(fields);
}

}  // namespace paligemma
