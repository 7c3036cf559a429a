#include "cli/opened_model.h"

#include <utility>

namespace paligemma::cli {
namespace {

PipelineOptions with_model(const Options& options, std::filesystem::path model,
                           Progress& progress) {
  PipelineOptions how = options.pipeline();
  how.model = std::move(model);
  if (!options.adapter.empty()) how.adapter = find_adapter(options);
  how.on_load = [&](std::size_t done, std::size_t all) { progress.loaded(done, all); };
  return how;
}

}  // namespace

OpenedModel::OpenedModel(const Options& options, Progress& progress)
    : found(find_model(options)),
      device(choose_device(options.executor(found.path))),
      pipeline(open_pipeline(device, with_model(options, found.path, progress))) {
  progress.clear();
  notes = {device.note, found.note};
  if (options.command != Command::embed && options.command != Command::search) {
    notes.push_back(pipeline->config().generation.note);
  }
  if (options.command != Command::embed || options.search.keeps_rows)
    notes.push_back(pipeline->tokenizer().note());
  if (!pipeline->trained()) {
    notes.push_back("the model " + found.id +
                    " is untrained: its weights are random, and so is what it says");
  }
}

}  // namespace paligemma::cli
