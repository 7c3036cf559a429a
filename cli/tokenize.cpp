// A text's tokens, as the model's own tokenizer makes them.
#include <iostream>

#include "cli/commands.h"
#include "cli/model_folder.h"
#include "paligemma/config.h"
#include "processing/tokenizer.h"
#include "tensor/json.h"
#include "tensor/safetensors.h"

namespace paligemma::cli {

int run_tokenize(const Options& options) {
  if (!options.prompt) throw UsageError("give a text: paligemma tokenize TEXT");
  const ModelFolder found = find_model(options);
  const auto folder = checkpoint_folder(found.path);
  const Config config = read_config(folder);
  const Tokenizer tokenizer(
      options.tokenizer.empty() ? folder : std::filesystem::path(options.tokenizer),
      config.image_token, static_cast<TokenId>(config.text.vocabulary));
  print_notes(options, {found.note, tokenizer.note()});

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
