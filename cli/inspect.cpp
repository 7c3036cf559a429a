// What a checkpoint holds, from its headers alone.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <iostream>
#include <map>

#include "cli/commands.h"
#include "cli/model_folder.h"
#include "paligemma/checkpoint.h"
#include "tensor/json.h"
#include "tensor/utf8.h"

namespace paligemma::cli {
namespace {

// "layers.12.mlp" as "layers.*.mlp": equal rows of all layers become one.
std::string layer_pattern(const std::string& name) {
  std::string pattern;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool starts_number =
        std::isdigit(static_cast<unsigned char>(name[i])) && i > 0 && name[i - 1] == '.';
    if (!starts_number) {
      pattern += name[i];
      continue;
    }
    pattern += '*';
    while (i + 1 < name.size() && std::isdigit(static_cast<unsigned char>(name[i + 1]))) ++i;
  }
  return pattern;
}

void print_table(const Checkpoint& checkpoint) {
  struct Row {
    int count = 0;
    const WeightEntry* entry = nullptr;
  };
  std::map<std::string, Row> rows;
  for (const auto& [name, entry] : checkpoint.tensors()) {
    Row& row = rows[layer_pattern(name)];
    ++row.count;
    row.entry = &entry;
  }
  for (const auto& [pattern, row] : rows) {
    std::printf("%4d x %-68s %-5s %s\n", row.count, pattern.c_str(),
                std::string(name_of(row.entry->format)).c_str(),
                shape_text(row.entry->shape).c_str());
  }
}

}  // namespace

int run_inspect(const Options& options) {
  const ModelFolder found = find_model(options);
  const Config config = read_config(checkpoint_folder(found.path));
  print_notes(options, {found.note, config.note});
  const Checkpoint checkpoint(found.path, config);
  const Index parameters = parameter_count(config);
  const std::string dtype(name_of(checkpoint.format()));

  if (options.json) {
    const Json all = object({{"arch", config.architecture},
                             {"params", parameters},
                             {"tensors", checkpoint.tensor_count()},
                             {"dtype", dtype},
                             {"config", Json::of_text(config.json)}});
    std::cout << all.text() << "\n";
    return 0;
  }
  const auto& v = config.vision;
  const auto& t = config.text;
  std::printf("%s: %s%s\n", printable(found.path.string()).c_str(), config.architecture.c_str(),
              checkpoint.trained() ? "" : ", untrained (random weights)");
  std::printf("%td parameters in %td tensors, %s\n", parameters, checkpoint.tensor_count(),
              dtype.c_str());
  std::printf("picture  %td x %td, patches of %td, %td image tokens\n", v.image_size, v.image_size,
              v.patch_size, v.patches());
  std::printf("vision   %td layers, width %td, MLP %td, %td heads\n", v.layers, v.width,
              v.mlp_width, v.heads);
  std::printf(
      "text     %td layers, width %td, MLP %td, %td heads of %td, %td KV heads, %td tokens\n",
      t.layers, t.width, t.mlp_width, t.heads, t.head_size, t.kv_heads, t.vocabulary);
  print_table(checkpoint);
  return 0;
}

}  // namespace paligemma::cli
