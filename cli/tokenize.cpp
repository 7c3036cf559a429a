// A text's tokens, as the model's own tokenizer makes them; or a batch of prompts, as other programs pad it.
#include <iostream>

#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/model_folder.h"
#include "cli/prompt_file.h"
#include "paligemma/config.h"
#include "processing/padding.h"
#include "processing/prompt.h"
#include "processing/tokenizer.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/safetensors.h"

namespace paligemma::cli {

namespace {

// {"prompt": "caption en", "suffix": "a boat", "images": ["a.png"]}, of which the prompt must be there. Pictures are
// not looked at; keras_hub has no places for them, and no newline behind the prompt.
PromptAndAnswer sample_of(const JsonFields& line, const Tokenizer& tokenizer, const Config& config,
                          bool is_keras) {
  PromptAndAnswer sample;
  if (is_keras) {
    sample.prompt = tokenizer.encode(line.text("prompt"));
    sample.prompt.insert(sample.prompt.begin(), tokenizer.bos());
  } else {
    const std::size_t pictures = line.has("images") ? line.texts("images").size() : 1;
    sample.prompt =
        make_prompt(tokenizer, line.text("prompt"), static_cast<int>(config.vision.patches()),
                    static_cast<int>(pictures))
            .ids;
  }
  if (line.has("suffix")) {
    sample.answer = tokenizer.encode(line.text("suffix"));
    sample.answer.push_back(tokenizer.eos());
  }
  return sample;
}

template <class Number>
Json rectangle(const Rows<Number>& rows) {
  std::vector<Json> all;
  for (const auto& row : rows) all.push_back(array_of(row));
  return array(all);
}

Json left_json(const std::vector<PromptAndAnswer>& samples) {
  const LeftPadded batch = pad_left(samples);
  return object({{"input_ids", rectangle(batch.input_ids)},
                 {"attention_mask", rectangle(batch.attention_mask)},
                 {"token_type_ids", rectangle(batch.token_type_ids)},
                 {"position_ids", rectangle(batch.position_ids)},
                 {"labels", rectangle(batch.labels)}});
}

Json right_json(const std::vector<PromptAndAnswer>& samples) {
  const RightPadded batch = pad_right(samples);
  return object({{"token_ids", rectangle(batch.token_ids)},
                 {"padding_mask", rectangle(batch.padding_mask)},
                 {"response_mask", rectangle(batch.response_mask)},
                 {"labels", rectangle(batch.labels)},
                 {"weights", rectangle(batch.weights)}});
}

Json padded_json(const Options& options, const Tokenizer& tokenizer, const Config& config) {
  const bool is_keras = options.padding == "right";
  Lines lines(options.jsonl);
  std::vector<PromptAndAnswer> samples;
  Index number = 0;
  while (const auto line = lines.next()) {
    const std::string_view text = ++number == 1 ? without_byte_order_mark(*line) : *line;
    if (text.find_first_not_of(" \t") == text.npos) continue;
    const std::string where = "line " + std::to_string(number);
    try {
      if (text.size() > Lines::kLongest) throw PromptError("longer than 1 MiB");
      samples.push_back(sample_of(JsonFields(text, where), tokenizer, config, is_keras));
    } catch (const ModelFileError& error) {
      throw UsageError(error.what());
    } catch (const PromptError& error) {
      throw UsageError(where + ": " + error.what());
    }
  }
  return is_keras ? right_json(samples) : left_json(samples);
}

}  // namespace

int run_tokenize(const Options& options) {
  if (!options.prompt && options.jsonl.empty())
    throw UsageError("give a text: paligemma tokenize TEXT");
  if (options.jsonl.empty() != options.padding.empty())
    throw UsageError("--jsonl and --padding left or right: each is for the other");
  const ModelFolder found = find_model(options);
  const auto folder = checkpoint_folder(found.path);
  const Config config = read_config(folder);
  const Tokenizer tokenizer(
      options.tokenizer.empty() ? folder : std::filesystem::path(options.tokenizer),
      config.image_token, static_cast<TokenId>(config.text.vocabulary));
  print_notes(options, {found.note, tokenizer.note()});

  if (!options.jsonl.empty()) {
    std::cout << padded_json(options, tokenizer, config).text() << "\n";
    return 0;
  }
  std::vector<Json> tokens;
  for (TokenId id : tokenizer.encode(*options.prompt)) {
    const Json piece = tokenizer.piece(id);
    if (!options.json) std::cout << id << "\t" << piece.text() << "\n";
    tokens.push_back(object({{"id", id}, {"piece", piece}}));
  }
  if (options.json) std::cout << array(tokens).text() << "\n";
  return 0;
}

}  // namespace paligemma::cli
