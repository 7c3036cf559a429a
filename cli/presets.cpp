// Lists the published models: their names, their sizes, and which are on this disk.
#include "paligemma/presets.h"

#include <cstdio>
#include <iostream>

#include "cli/commands.h"
#include "cli/hub_cache.h"
#include "cli/kaggle_cache.h"
#include "paligemma/weights.h"

namespace paligemma::cli {
namespace {

constexpr WeightFormat kFormats[] = {WeightFormat::f32, WeightFormat::bf16, WeightFormat::f16,
                                     WeightFormat::int8_blocks, WeightFormat::int4_blocks};
constexpr Index kRowsOfKeras = 257152;  // of the embedding; the hub's files have 257216

struct Found {
  std::vector<std::string> hub, kaggle, in_part;  // folders

  std::string in_words() const {
    std::string words = hub.empty() ? "" : "hub";
    if (!kaggle.empty()) words += words.empty() ? "kaggle" : ", kaggle";
    if (words.empty() && !in_part.empty()) return "in part";
    return words.empty() ? "-" : words;
  }
};

Found find_copies(const Preset& preset, const Options& options) {
  Found found;
  for (const CachedModel& there : snapshots_of(preset.hub(), options)) {
    (there.missing.empty() ? found.hub : found.in_part).push_back(there.folder);
  }
  for (const KaggleModel& there : kaggle_versions(preset.kaggle(), options)) {
    (there.missing.empty() ? found.kaggle : found.in_part).push_back(there.folder);
  }
  return found;
}

std::string handle_of(const Preset& preset) {
  return "kaggle://" + preset.kaggle() + "/" + std::to_string(preset.version);
}

Json in_json(const Preset& preset, const Config& config, const Found& found) {
  const Index parameters = parameter_count(config);
  std::vector<Field> bytes;
  for (const WeightFormat format : kFormats) {
    bytes.push_back({std::string(name_of(format)), weight_bytes(config, format)});
  }
  const bool in_keras = !preset.keras.empty();
  const Index fewer = (config.text.vocabulary - kRowsOfKeras) * config.text.width;
  return object({{"name", preset.hub()},
                 {"keras", in_keras ? Json(preset.keras) : Json()},
                 {"kaggle", in_keras ? Json(handle_of(preset)) : Json()},
                 {"kind", preset.kind()},
                 {"image_size", config.vision.image_size},
                 {"params", parameters},
                 {"params_in_keras", in_keras ? Json(parameters - fewer) : Json()},
                 {"bytes", object(bytes)},
                 {"hub_cache", array_of(found.hub)},
                 {"kaggle_cache", array_of(found.kaggle)},
                 {"in_part", array_of(found.in_part)}});
}

}  // namespace

int run_presets(const Options& options) {
  std::vector<Json> all;
  if (!options.json) {
    std::printf("%-38s %-28s %14s %6s %6s %6s %6s  %-11s  %s\n", "hub", "keras_hub", "parameters",
                "f32 GB", "bf16", "int8", "int4", "on disk", "Kaggle");
  }
  for (const Preset& preset : presets()) {
    const Config config = parse_config(preset_json(preset.name), std::string(preset.name));
    const Found found = find_copies(preset, options);
    if (options.json) {
      all.push_back(in_json(preset, config, found));
      continue;
    }
    const auto gigabytes = [&](WeightFormat format) {
      return static_cast<double>(weight_bytes(config, format)) / 1e9;
    };
    const bool in_keras = !preset.keras.empty();
    std::printf("%-38s %-28s %14td %6.1f %6.1f %6.1f %6.1f  %-11s  %s\n", preset.hub().c_str(),
                in_keras ? std::string(preset.keras).c_str() : "-", parameter_count(config),
                gigabytes(WeightFormat::f32), gigabytes(WeightFormat::bf16),
                gigabytes(WeightFormat::int8_blocks), gigabytes(WeightFormat::int4_blocks),
                found.in_words().c_str(), in_keras ? handle_of(preset).c_str() : "-");
  }
  if (options.json) std::cout << object({{"presets", array(all)}}).text() << "\n";
  return 0;
}

}  // namespace paligemma::cli
