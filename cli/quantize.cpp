// Writes a checkpoint with quantised weights.
#include "paligemma/quantize.h"

#include <cstdio>

#include "cli/commands.h"
#include "cli/listeners.h"
#include "cli/model_folder.h"
#include "paligemma/pipeline.h"

namespace paligemma::cli {

int run_quantize(const Options& options) {
  if (options.dtype != "int8" && options.dtype != "int4") {
    throw UsageError("say how many bits: --dtype int8 or --dtype int4");
  }
  if (options.output.empty())
    throw UsageError("say which model and where to: quantize MODEL FOLDER");
  const ModelFolder found = find_model(options);
  print_notes(options, {found.note});
  Progress progress(options.verbosity >= 1);
  quantize_checkpoint(found.path, *options.pipeline().dtype, options.output,
                      [&](std::size_t done, std::size_t all) { progress.loaded(done, all); });
  progress.clear();
  return 0;
}

}  // namespace paligemma::cli
