// The model that a command asks: found, placed on a device, ready to answer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/listeners.h"
#include "cli/model_folder.h"
#include "cli/options.h"
#include "engine/devices.h"

namespace paligemma::cli {

struct OpenedModel {
  ModelFolder found;
  Device device;
  std::unique_ptr<const AnyPipeline> pipeline;
  std::vector<std::string> notes;  // for the user

  OpenedModel(const Options& options, Progress& progress);
};

}  // namespace paligemma::cli
