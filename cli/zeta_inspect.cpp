// What a checkpoint of zeta holds, from its header alone.
#include <cstdio>
#include <iostream>

#include "cli/tensor_table.h"
#include "cli/zeta_model.h"
#include "tensor/json.h"
#include "tensor/utf8.h"
#include "zeta/checkpoint.h"

namespace paligemma::cli {
namespace {

// "vision   12 blocks, width 64, 2 heads of 64"
void print_layers(const char* name, const zeta::LayersShape& layers) {
  std::printf("%s   %td self-attentions, %td cross-attentions, %td feed-forwards of %td\n", name,
              layers.count(zeta::BlockKind::self_attention),
              layers.count(zeta::BlockKind::cross_attention),
              layers.count(zeta::BlockKind::feed_forward), layers.feed_forward.width);
  std::printf("         width %td, %td heads of %td, %td KV heads\n", layers.width, layers.heads,
              layers.head_size, layers.kv_heads);
}

}  // namespace

int inspect_zeta(const Options& options, const ZetaModel& model) {
  print_notes(options, {model.found.note});
  const zeta::Checkpoint checkpoint(model.found.path, model.config);
  const Index parameters = zeta::parameter_count(model.config);
  const std::string dtype(name_of(checkpoint.format()));
  if (options.json) {
    const Json all = object({{"arch", model.architecture()},
                             {"params", parameters},
                             {"tensors", checkpoint.tensor_count()},
                             {"dtype", dtype},
                             {"config", Json::of_text(model.config.json)}});
    std::cout << all.text() << "\n";
    return 0;
  }
  std::printf("%s: %s%s\n", printable(model.found.path.string()).c_str(),
              model.architecture().c_str(),
              checkpoint.trained() ? "" : ", untrained (random weights)");
  std::printf("%td parameters in %td tensors, %s\n", parameters, checkpoint.tensor_count(),
              dtype.c_str());
  if (const zeta::VisionShape* vision = model.vision()) {
    std::printf("picture  %td x %td, patches of %td, %td rows\n", vision->image_size,
                vision->image_size, vision->patch_size, vision->patches());
    print_layers("vision", vision->layers);
  }
  if (const zeta::TransformerShape* text = model.text()) {
    std::printf("words    %td, of which the last %td are seen, %td rows remembered\n",
                text->vocabulary, text->max_positions, text->memory_rows);
    print_layers("text  ", text->layers);
  }
  std::vector<TensorRow> rows;
  for (const auto& [name, entry] : checkpoint.tensors()) {
    rows.push_back({name, std::string(name_of(entry.dtype)), entry.shape});
  }
  print_table(rows);
  return 0;
}

}  // namespace paligemma::cli
