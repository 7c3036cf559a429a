// Writes a checkpoint with an adapter merged into its weights.
#include "paligemma/merge.h"

#include "cli/commands.h"
#include "cli/listeners.h"
#include "cli/model_folder.h"

namespace paligemma::cli {

int run_merge(const Options& options) {
  if (options.adapter.empty() || options.output.empty()) {
    throw UsageError("say what and where to: merge -m MODEL --adapter FOLDER OUT");
  }
  const ModelFolder found = find_model(options);
  Progress progress(options.verbosity >= 1);
  const bool splits =
      merge_adapter(found.path, find_adapter(options), options.output,
                    [&](std::size_t done, std::size_t all) { progress.loaded(done, all); });
  progress.clear();
  const char* note =
      "the new model has a head of its own: the adapter changes one of head and embedding, which "
      "are one in the model (merge_and_unload() of PEFT would change both)";
  print_notes(options, {found.note, splits ? note : ""});
  return 0;
}

}  // namespace paligemma::cli
