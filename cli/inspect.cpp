// What a checkpoint holds, from its headers alone.
#include <cstdio>
#include <iostream>

#include "cli/commands.h"
#include "cli/model_folder.h"
#include "cli/tensor_table.h"
#include "paligemma/checkpoint.h"
#include "tensor/json.h"
#include "tensor/utf8.h"

namespace paligemma::cli {

int run_inspect(const Options& options) {
  const ModelFolder found = find_model(options);
  const Config config = read_config(checkpoint_folder(found.path));
  print_notes(options, {found.note, config.generation.note});
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
  std::vector<TensorRow> rows;
  for (const auto& [name, entry] : checkpoint.tensors()) {
    rows.push_back({name, std::string(name_of(entry.format)), entry.shape});
  }
  print_table(rows);
  return 0;
}

}  // namespace paligemma::cli
