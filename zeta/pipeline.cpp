#include "zeta/pipeline_definitions.h"

namespace paligemma::zeta {

Config configured(const PipelineOptions& options) {
  Config config = read_config(checkpoint_folder(options.model));
  auto* text = std::get_if<TransformerShape>(&config.model);
  if (auto* palme = std::get_if<PalmEShape>(&config.model)) text = &palme->text;
  if (text != nullptr && options.memory_rows) text->memory_rows = *options.memory_rows;
  return config;
}

template std::unique_ptr<Pipeline> open_pipeline(Reference, const PipelineOptions&);

}  // namespace paligemma::zeta
