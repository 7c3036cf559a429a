// A text's tokens, as the model's own tokenizer makes them.
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/model_folder.h"
#include "paligemma/config.h"
#include "processing/tokenizer.h"

namespace paligemma::cli {

int run_tokenize(const Options& options) {
  if (!options.prompt) throw UsageError("give a text: paligemma tokenize TEXT");
  const auto folder = checkpoint_folder(find_model(options).path);
  const Config config = read_config(folder);
  const Tokenizer tokenizer(options.tokenizer.empty() ? folder / "tokenizer.model"
                                                      : std::filesystem::path(options.tokenizer),
                            config.image_token, static_cast<TokenId>(config.text.vocabulary));

  nlohmann::json tokens = nlohmann::json::array();
  for (TokenId id : tokenizer.encode(*options.prompt)) {
    tokens.push_back({{"id", id}, {"piece", tokenizer.piece(id)}});
  }
  if (options.json) {
    std::cout << tokens.dump() << "\n";
  } else {
    for (const auto& token : tokens) {
      std::cout << token["id"] << "\t" << token["piece"].dump(-1, ' ', false) << "\n";
    }
  }
  return 0;
}

}  // namespace paligemma::cli
