// A PalmE, a Transformer or a ViTransformerWrapper, and what the command line may ask of it.
#pragma once

#include <string>
#include <vector>

#include "cli/model_folder.h"
#include "zeta/pipeline.h"
#include "zeta/vocabulary.h"

namespace paligemma::cli {

struct ZetaModel {
  ModelFolder found;
  zeta::Config config;
  std::optional<zeta::Vocabulary> words;  // without them ids go in and out

  std::string architecture() const;            // "PalmE"
  const zeta::VisionShape* vision() const;     // null if it has none
  const zeta::TransformerShape* text() const;  // so too
  bool looks_at_pictures() const;
  bool writes() const;  // words, not scores of classes
};

ZetaModel find_zeta(const Options& options);

// Throws UsageError for what makes no sense of this model.
void check_fits(const Options& options, const ZetaModel& model);

// What a text begins with: --tokens, a prompt in the model's own words, or the start tokens that it names.
std::vector<TokenId> prompt_of(const Options& options, const ZetaModel& model);

zeta::TextOptions text_options(const Options& options, const zeta::Config& config);

// "llm/block04/attention", the tap where the last cross-attention says what it looked at.
std::string last_cross_attention(const zeta::TransformerShape& text);

// The rest of run_zeta.
int inspect_zeta(const Options& options, const ZetaModel& model);
int bench_zeta(const Options& options, const ZetaModel& model);

}  // namespace paligemma::cli
