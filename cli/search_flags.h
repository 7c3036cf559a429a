// The flags of `embed` and of `search`.
#pragma once

#include "cli/options.h"
#include "colpali/prompt.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's name
class App;
}

namespace paligemma::cli {

void add_embed(CLI::App& command, Options& options);
void add_search(CLI::App& command, Options& options);

void check_search(const Options& options);  // throws UsageError

// How a ColPali is asked, as is said or as it is used to.
const colpali::PromptForm& form_of(const Options& options, const Config& config);

}  // namespace paligemma::cli
