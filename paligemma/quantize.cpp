#include "paligemma/quantize.h"

#include <span>
#include <vector>

#include "paligemma/new_model.h"
#include "tensor/safetensors_writer.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

template <Quantized Block>
std::span<const std::byte> bytes_of(Checkpoint& checkpoint, const ExpectedTensor& tensor) {
  const auto as_bytes = [](const auto& view) {
    return std::as_bytes(std::span(view.data(), static_cast<std::size_t>(view.count())));
  };
  if (is_text_matrix(tensor)) return as_bytes(checkpoint.blocks<Block>(tensor.name, tensor.shape));
  if (tensor.shape.size() == 1) {
    return as_bytes(checkpoint.vector_beside_blocks(tensor.name, tensor.shape[0]));
  }
  return as_bytes(checkpoint.matrix_beside_blocks(tensor.name, tensor.shape));
}

template <Quantized Block>
void write_blocks(Checkpoint& checkpoint, const Config& config, const fs::path& path,
                  const LoadListener& listener) {
  std::vector<TensorToWrite> all;
  for (const ExpectedTensor& tensor : expected_tensors(checkpoint.as_stored(config))) {
    all.push_back({tensor, is_text_matrix(tensor) ? kFormatOf<Block> : WeightFormat::bf16});
  }
  SafetensorsWriter file(path, all, checkpoint.trained());
  std::size_t done = 0;
  for (const TensorToWrite& tensor : all) {
    file.write(bytes_of<Block>(checkpoint, tensor.tensor));
    checkpoint.forget_copies();
    if (!file.works()) break;
    done += tensor.bytes();
    if (listener) listener(done, file.bytes());
  }
  file.finish();
}

}  // namespace

void quantize_checkpoint(const fs::path& model, WeightFormat format, const fs::path& out,
                         const LoadListener& listener) {
  PG_CHECK(is_quantized(format), std::string(name_of(format)));
  const fs::path folder = checkpoint_folder(model);
  const Config config = read_config(folder);
  Checkpoint checkpoint(model, config);

  NewModel written(out);
  written.copy_beside_weights(folder);
  if (format == WeightFormat::int8_blocks) {
    write_blocks<Int8Block>(checkpoint, config, written.weights(), listener);
  } else {
    write_blocks<Int4Block>(checkpoint, config, written.weights(), listener);
  }
  written.finish();
}

}  // namespace paligemma
