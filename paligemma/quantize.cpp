#include "paligemma/quantize.h"

#include <fstream>
#include <numeric>
#include <vector>

#include "paligemma/new_model.h"
#include "tensor/json.h"
#include "tensor/paths.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

// Beside the weights: what is read here, and what transformers' processor reads.
constexpr const char* kOtherFiles[] = {
    "config.json",       "generation_config.json", "preprocessor_config.json",
    "tokenizer.model",   "processor_config.json",  "vae-oid.npz",
    "tokenizer.json",    "tokenizer_config.json",  "special_tokens_map.json",
    "added_tokens.json", "chat_template.json",     "chat_template.jinja"};

std::size_t bytes_of(const std::vector<Index>& shape, std::size_t size) {
  return std::accumulate(shape.begin(), shape.end(), size, [](std::size_t bytes, Index axis) {
    return bytes * static_cast<std::size_t>(axis);
  });
}

template <Quantized Block>
class Writer {
 public:
  Writer(Checkpoint& checkpoint, const Config& config)
      : checkpoint_(checkpoint), tensors_(expected_tensors(checkpoint.as_stored(config))) {}

  void write(const fs::path& path, const LoadListener& listener) {
    const std::string header = this->header();
    const std::uint64_t length = header.size();
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << header;
    std::size_t done = 0;
    for (const ExpectedTensor& tensor : tensors_) {
      done += write(file, tensor);
      checkpoint_.forget_copies();
      if (!file) break;
      if (listener) listener(done, all_);
    }
    if (!file.flush()) throw std::runtime_error(path.string() + ": cannot be written");
  }

 private:
  // Padded, so that blocks are aligned.
  std::string header() {
    std::vector<Field> metadata{{"format", "pt"}};
    if (!checkpoint_.trained()) metadata.push_back({"trained", "false"});
    std::vector<Field> fields{{"__metadata__", object(metadata)}};
    all_ = 0;
    for (const ExpectedTensor& tensor : tensors_) {
      const bool blocks = is_text_matrix(tensor);
      std::vector<Index> shape = tensor.shape;
      if (blocks) shape = {shape[0], blocks_of(shape[1]), Index{sizeof(Block)}};
      const std::size_t begin = all_;
      all_ += bytes_of(shape, blocks ? 1 : sizeof(bf16));
      fields.push_back({tensor.name, object({{"dtype", blocks ? "U8" : "BF16"},
                                             {"shape", array_of(shape)},
                                             {"data_offsets", array({begin, all_})}})});
    }
    std::string text = object(fields).text();
    text.append((64 - (text.size() + 8) % 64) % 64, ' ');
    return text;
  }

  std::size_t write(std::ofstream& file, const ExpectedTensor& tensor) {
    const void* data = nullptr;
    std::size_t bytes = 0;
    if (is_text_matrix(tensor)) {
      const auto blocks = checkpoint_.blocks<Block>(tensor.name, tensor.shape);
      data = blocks.data();
      bytes = static_cast<std::size_t>(blocks.count()) * sizeof(Block);
    } else if (tensor.shape.size() == 1) {
      data = checkpoint_.vector_beside_blocks(tensor.name, tensor.shape[0]).data();
      bytes = bytes_of(tensor.shape, sizeof(bf16));
    } else {
      data = checkpoint_.matrix_beside_blocks(tensor.name, tensor.shape).data();
      bytes = bytes_of(tensor.shape, sizeof(bf16));
    }
    file.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
    return bytes;
  }

  Checkpoint& checkpoint_;
  std::vector<ExpectedTensor> tensors_;
  std::size_t all_ = 0;
};

}  // namespace

void quantize_checkpoint(const fs::path& model, WeightFormat format, const fs::path& out,
                         const LoadListener& listener) {
  PG_CHECK(is_quantized(format), std::string(name_of(format)));
  const fs::path folder = checkpoint_folder(model);
  const Config config = read_config(folder);
  Checkpoint checkpoint(model, config);

  NewModel written(out);
  const auto need = [](bool works, const fs::path& path, const char* problem) {
    if (!works) throw std::runtime_error(path.string() + ": " + problem);
  };
  std::error_code error;
  need(!fs::equivalent(folder, out, error), out, "there is a model already");
  for (const char* name : kOtherFiles) {
    const bool is_ours = is_there(folder / name);
    need(is_ours || !is_there(out / name), out / name, "would change what the model says");
    if (is_ours) written.copy(folder / name, name);
  }
  if (format == WeightFormat::int8_blocks) {
    Writer<Int8Block>(checkpoint, config).write(written.weights(), listener);
  } else {
    Writer<Int4Block>(checkpoint, config).write(written.weights(), listener);
  }
  written.finish();
}

}  // namespace paligemma
