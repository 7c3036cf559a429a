// Writes a model of random weights, of a published size or of any other.
#include <cstdint>

#include "cli/commands.h"
#include "paligemma/presets.h"
#include "paligemma/random_weights.h"
#include "paligemma/weights.h"
#include "tensor/errors.h"
#include "tensor/mapped_file.h"
#include "tensor/paths.h"
#include "zeta/checkpoint.h"

namespace paligemma::cli {
namespace {

// The text of a config.json: a preset's, or a file's.
std::string config_text(const std::string& name) {
  if (std::string preset = preset_json(name); !preset.empty()) return preset;
  std::string all;
  for (const PresetSize& size : preset_sizes()) {
    all += (all.empty() ? "" : ", ") + std::string(size.name);
  }
  if (!is_file(name)) {
    throw NotFoundError(name + ": no such file, and none of `paligemma presets` or of the sizes " +
                        all);
  }
  return std::string(MappedFile(name).text());
}

}  // namespace

int run_init(const Options& options) {
  if (options.output.empty()) {
    throw UsageError("say what size and where to: init PRESET|CONFIG.json FOLDER");
  }
  const std::string config = config_text(options.model), &name = options.model;
  RandomWeightsOptions how{static_cast<std::uint64_t>(options.seed), options.sparse, {}};
  if (!options.tokenizer.empty()) how.tokenizer = options.tokenizer;
  const auto tensors = zeta::is_zeta_config(config)
                           ? zeta::expected_tensors(zeta::parse_config(config, name))
                           : expected_tensors(parse_config(config, name));
  write_random_checkpoint(config, tensors, options.output, how);
  return 0;
}

}  // namespace paligemma::cli
