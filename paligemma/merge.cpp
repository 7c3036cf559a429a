#include "paligemma/merge.h"

#include <utility>
#include <vector>

#include "paligemma/adapter.h"
#include "paligemma/low_rank.h"
#include "paligemma/new_model.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/mapped_file.h"
#include "tensor/safetensors_writer.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

constexpr const char* kEmbedding = "language_model.model.embed_tokens";

std::string layer_of(const std::string& tensor) { return tensor.substr(0, tensor.rfind('.')); }

std::vector<float> numbers_of(const auto& view) {
  return {view.data(), view.data() + (view.data() == nullptr ? 0 : view.count())};
}

// Of an embedding a holds rows of words, and b the scale of the words besides.
LowRank change_of(const Lora<HostWeights<float>>& lora, bool of_words, float embedding_scale) {
  std::vector<float> b = numbers_of(lora.b);
  if (!of_words) {
    return {transposed(b, lora.b.size(0), lora.b.size(1)), numbers_of(lora.a),
            numbers_of(lora.magnitude), false};
  }
  for (float& number : b) number /= embedding_scale;
  return {numbers_of(lora.a), std::move(b), numbers_of(lora.magnitude), true};
}

// The fields as they are, but for head and embedding, which are two now.
std::string untied(const fs::path& config) {
  const MappedFile file(config);
  const JsonFields fields(file.text(), config.string());
  const auto with_two = [](const JsonFields& of, const auto& value_of) {
    std::vector<Field> all;
    for (const std::string& name : of.names()) {
      if (name != "tie_word_embeddings") all.emplace_back(name, value_of(name));
    }
    all.emplace_back("tie_word_embeddings", false);
    return object(all);
  };
  const auto as_it_is = [](const JsonFields& of) {
    return [&of](const std::string& name) { return Json::of_text(of.as_json(name)); };
  };
  return with_two(fields,
                  [&](const std::string& name) {
                    if (name != "text_config") return Json::of_text(fields.as_json(name));
                    const JsonFields text = fields.object(name);
                    return with_two(text, as_it_is(text));
                  })
      .text();
}

class Merger {
 public:
  Merger(Checkpoint& checkpoint, std::shared_ptr<const Adapter> adapter, const Config& config)
      : base_(checkpoint.tensors()),
        checkpoint_(checkpoint),
        adapter_(std::move(adapter)),
        embedding_scale_(config.text.embedding_scale) {
    Config two = config;
    checkpoint_.adapt(adapter_);
    const bool was_tied = base_.count("lm_head.weight") == 0;
    splits_ = was_tied &&
              (adapter_->layers().contains("lm_head") || adapter_->layers().contains(kEmbedding) ||
               checkpoint_.tensors().contains("lm_head.weight"));
    two.tied_head = was_tied && !splits_;
    for (const ExpectedTensor& tensor : expected_tensors(two)) {
      tensors_.push_back({tensor, below(base_, tensor.name).format});
    }
  }

  bool splits() const { return splits_; }

  void write(const fs::path& path, const LoadListener& listener) const {
    SafetensorsWriter file(path, tensors_, checkpoint_.trained());
    std::size_t done = 0;
    for (const TensorToWrite& tensor : tensors_) {
      file.write(merged(tensor));
      if (!file.works()) break;
      done += tensor.bytes();
      if (listener) listener(done, file.bytes());
    }
    file.finish();
  }

 private:
  using Entries = std::map<std::string, WeightEntry>;

  static const WeightEntry& below(const Entries& entries, const std::string& name) {
    const auto found = entries.find(name);
    return found != entries.end() ? found->second : entries.at(kEmbedding + std::string(".weight"));
  }

  std::vector<std::byte> merged(const TensorToWrite& tensor) const {
    const auto& [name, shape] = tensor.tensor;
    const WeightEntry& entry = below(checkpoint_.tensors(), name);
    const std::string layer = layer_of(name);
    const auto lora = adapter_->layers().find(layer);
    const bool is_changed = lora != adapter_->layers().end();
    if (!is_changed && entry.format == tensor.format && !entry.order)
      return {entry.bytes.begin(), entry.bytes.end()};

    std::vector<std::byte> bytes(tensor.bytes());
    if (shape.size() == 1) {
      const bool is_bias = is_changed && name.ends_with(".bias");
      write_row(is_bias ? numbers_of(lora->second.bias) : all_as_floats(entry), tensor.format,
                bytes.data());
      return bytes;
    }
    const LowRank change =
        is_changed ? change_of(lora->second, layer == kEmbedding, embedding_scale_) : LowRank();
    const Index columns = entry.columns();
    const std::size_t stride = row_bytes(tensor.format, columns);
#pragma omp parallel for
    for (Index p = 0; p < entry.rows(); ++p) {
      std::vector<float> row(static_cast<std::size_t>(columns));
      change.changed_row(entry, p, row);
      write_row(row, tensor.format, &bytes[static_cast<std::size_t>(p) * stride]);
    }
    return bytes;
  }

  Entries base_;
  Checkpoint& checkpoint_;
  std::shared_ptr<const Adapter> adapter_;
  float embedding_scale_;
  bool splits_ = false;
  std::vector<TensorToWrite> tensors_;
};

// A layer without a bias has no place for one.
void check_biases(const Adapter& adapter, const Checkpoint& base, const fs::path& path) {
  for (const auto& [layer, lora] : adapter.layers()) {
    if (lora.bias.data() == nullptr || base.tensors().contains(layer + ".bias")) continue;
    throw ModelFileError(path.string() + ": lora_bias gives " + layer +
                         " a bias, which the model has none of; it cannot be merged");
  }
}

}  // namespace

bool merge_adapter(const fs::path& model, const fs::path& adapter, const fs::path& out,
                   const LoadListener& listener) {
  const fs::path folder = checkpoint_folder(model);
  const Config config = read_config(folder);
  Checkpoint checkpoint(model, config);
  if (is_quantized(checkpoint.format())) {
    throw ModelFileError(folder.string() +
                         ": is quantised; merge into the model that it was made from, and quantise "
                         "what comes of it");
  }
  const auto change = std::make_shared<const Adapter>(adapter, checkpoint, config);
  check_biases(*change, checkpoint, adapter);
  const Merger merger(checkpoint, change, config);

  NewModel written(out);
  if (merger.splits()) written.write(untied(folder / "config.json"), "config.json");
  written.copy_beside_weights(folder);
  merger.write(written.weights(), listener);
  written.finish();
  return merger.splits();
}

}  // namespace paligemma
