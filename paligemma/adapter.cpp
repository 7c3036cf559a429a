#include "paligemma/adapter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "paligemma/low_rank.h"
#include "tensor/errors.h"
#include "tensor/paths.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

constexpr const char* kEmbedding = "language_model.model.embed_tokens";
constexpr const char* kPositions = "vision_tower.embeddings.position_embedding";
constexpr const char* kPatches = "vision_tower.embeddings.patch_embedding";

fs::path folder_of(const fs::path& path) {
  return path.filename() == "adapter_config.json" || path.extension() == ".safetensors"
             ? path.parent_path()
             : path;
}

fs::path weights_of(const fs::path& path) {
  const fs::path folder = folder_of(path);
  fs::path file = folder / "adapter_model.safetensors";
  if (!is_there(file) && is_there(folder / "adapter_model.bin")) {
    throw ModelFileError(folder.string() +
                         ": adapter_model.bin is PyTorch's; write it with "
                         "save_pretrained(..., safe_serialization=True)");
  }
  return file;
}

bool drop_ending(std::string& text, std::string_view ending) {
  if (!text.ends_with(ending)) return false;
  text.erase(text.size() - ending.size());
  return true;
}

// Releases of PEFT differ in whether the adapter's own name, or the wrapper's, is left in.
std::string without_wrappers(std::string name) {
  for (const std::string_view part : {".default", ".modules_to_save", ".base_layer"}) {
    const auto at = name.find(std::string(part) + ".");
    if (at != name.npos) name.erase(at, part.size());
    drop_ending(name, part);
  }
  return name;
}

std::vector<float> floats_of(const TensorEntry& entry, const std::string& where) {
  std::vector<float> numbers =
      all_as_floats({weight_format_of(entry, where), entry.shape, entry.bytes});
  for (const float number : numbers) {
    if (!std::isfinite(number)) throw ModelFileError(where + " holds a NaN or an infinity");
  }
  return numbers;
}

}  // namespace

class Adapter::Reader {
 public:
  Reader(Adapter& adapter, AdapterConfig how, const Checkpoint& base, const Config& config)
      : adapter_(adapter), how_(std::move(how)), base_(base), config_(config) {}

  void read() {
    std::map<std::string, Parts> modules;
    for (const auto& [name, entry] : adapter_.file_.tensors()) {
      if (is_ignored(current_tensor_name(name), config_)) continue;
      if (!is_part(name, entry, modules)) take(name, entry);
    }
    const bool is_tied = !base_.tensors().contains("lm_head.weight");
    if (is_tied && adapter_.tensors_.contains(weight_name(kEmbedding)) &&
        !adapter_.tensors_.contains("lm_head.weight")) {
      adapter_.tensors_["lm_head.weight"] = base_.tensors().at(weight_name(kEmbedding));
    }
    for (const auto& [layer, parts] : modules) {
      if (parts.rows != nullptr) replace_rows(layer, *parts.rows);
      if (parts.a != nullptr || parts.b != nullptr) change(layer, parts);
    }
  }

 private:
  static std::string weight_name(const std::string& layer) { return layer + ".weight"; }
  std::string at(const std::string& name) const { return adapter_.where_ + ": tensor " + name; }

  // Notes one that belongs to a changed layer.
  bool is_part(const std::string& name, const TensorEntry& entry,
               std::map<std::string, Parts>& modules) const {
    struct Kind {
      std::string_view ending;
      const TensorEntry* Parts::*part;
      bool of_embedding;
    };
    static constexpr std::array<Kind, 8> kKinds{
        {{".lora_A.weight", &Parts::a, false},
         {".lora_B.weight", &Parts::b, false},
         {".lora_B.bias", &Parts::bias, false},
         {".lora_embedding_A", &Parts::a, true},
         {".lora_embedding_B", &Parts::b, true},
         {".lora_magnitude_vector", &Parts::magnitude, false},
         {".lora_magnitude_vector.weight", &Parts::magnitude, false},
         {".token_adapter.trainable_tokens_delta", &Parts::rows, false}}};
    for (const Kind& kind : kKinds) {
      std::string module = without_wrappers(name);
      if (!drop_ending(module, kind.ending)) continue;
      std::string layer = current_tensor_name(weight_name(module));
      drop_ending(layer, ".weight");
      Parts& parts = modules[layer];
      if (parts.*kind.part != nullptr) throw ModelFileError(at(name) + " is there twice");
      parts.*kind.part = &entry;
      parts.is_embedding = parts.is_embedding || kind.of_embedding;
      if (module.starts_with("base_model.model.")) module.erase(0, 17);
      parts.names = {module, layer.starts_with("lm_head") ? layer : "model." + in_memory(layer)};
      return true;
    }
    return false;
  }

  static std::string in_memory(std::string layer) {
    constexpr std::string_view kOnDisk = "language_model.model.", kToday = "language_model.";
    if (layer.starts_with(kOnDisk)) layer.replace(0, kOnDisk.size(), kToday);
    return layer;
  }

  // A whole tensor, unless it is the base's own.
  void take(const std::string& name, const TensorEntry& entry) {
    const std::string ours = current_tensor_name(without_wrappers(name));
    const bool is_head = ours == "lm_head.weight";
    const auto base = base_.tensors().find(
        is_head && !base_.tensors().contains(ours) ? weight_name(kEmbedding) : ours);
    if (base == base_.tensors().end()) {
      throw ModelFileError(at(name) + " fits nothing of the model that it is to change");
    }
    if (entry.shape != base->second.shape) {
      throw ModelFileError(at(name) + " is " + shape_text(entry.shape) + ", the model's is " +
                           shape_text(base->second.shape));
    }
    const WeightEntry found{weight_format_of(entry, at(name)), entry.shape, entry.bytes};
    if (name.find(".base_layer.") != name.npos && is_same(found, base->second)) return;
    if (!adapter_.tensors_.emplace(ours, found).second) {
      throw ModelFileError(at(name) + " is there twice");
    }
  }

  static bool is_same(const WeightEntry& one, const WeightEntry& other) {
    return one.format == other.format && !other.order ? std::ranges::equal(one.bytes, other.bytes)
                                                      : all_as_floats(one) == all_as_floats(other);
  }

  // The tensor as it is below the change.
  const WeightEntry* below(const std::string& name) const {
    const auto mine = adapter_.tensors_.find(name);
    if (mine != adapter_.tensors_.end()) return &mine->second;
    const auto base = base_.tensors().find(name);
    return base != base_.tensors().end() ? &base->second : nullptr;
  }

  const WeightEntry& weight_below(const std::string& layer) const {
    const WeightEntry* found = below(weight_name(layer));
    if (layer == "lm_head" && found == nullptr) found = below(weight_name(kEmbedding));
    if (found == nullptr || found->shape.size() < 2) {
      throw ModelFileError(adapter_.where_ + ": " + layer +
                           " is no layer of the model that an adapter can change");
    }
    return *found;
  }

  const std::vector<float>& kept(std::vector<float> numbers) {
    return adapter_.floats_.emplace_back(std::move(numbers));
  }

  // [rows, ...] or [..., columns]: what else there is to it does not matter.
  void check_shape(const std::string& layer, const char* part, const TensorEntry* entry, Index rows,
                   Index columns) const {
    const std::string where = adapter_.where_ + ": " + layer + "'s " + part;
    if (entry == nullptr) throw ModelFileError(where + " is missing");
    if (entry->shape.empty() || entry->shape[0] != rows || entry->count() != rows * columns) {
      throw ModelFileError(where + " is " + shape_text(entry->shape) + ", which should be " +
                           shape_text(std::array{rows, columns}));
    }
  }

  void change(const std::string& layer, const Parts& parts) {
    const WeightEntry& w = weight_below(layer);
    const Index P = w.rows(), Q = w.columns();
    const bool by_columns = layer == kEmbedding || layer == kPositions;
    if (by_columns != parts.is_embedding) {
      throw ModelFileError(adapter_.where_ + ": " + layer + (by_columns ? " is an" : " is no") +
                           " embedding");
    }
    const Index in = by_columns ? P : Q, out = by_columns ? Q : P;
    const Index r = parts.a != nullptr && !parts.a->shape.empty() ? parts.a->shape[0] : 0;
    if (r < 1) throw ModelFileError(adapter_.where_ + ": " + layer + "'s A is missing or empty");
    check_shape(layer, "A", parts.a, r, in);
    check_shape(layer, "B", parts.b, out, r);
    const auto numbers = [&](const TensorEntry& entry) {
      return floats_of(entry, adapter_.where_ + ": " + layer);
    };
    const auto scale = static_cast<float>(how_.scale(parts.names, r));
    std::vector<float> a = numbers(*parts.a), b = numbers(*parts.b), magnitude, bias;
    for (float& number : b) number *= scale;
    if (by_columns) a = transposed(a, r, in);  // rows of words, as a table's
    const auto changed = [&] {
      return LowRank{by_columns ? a : b, by_columns ? transposed(b, out, r) : a, magnitude,
                     by_columns};
    };
    if (how_.dora) {
      if (parts.magnitude == nullptr || parts.magnitude->count() != out) {
        throw ModelFileError(adapter_.where_ + ": " + layer + "'s magnitudes are not " +
                             std::to_string(out));
      }
      magnitude = numbers(*parts.magnitude);
      const auto lengths = changed().lengths(w);
      for (Index o = 0; o < out; ++o) {
        magnitude[o] /= lengths[o];
        for (Index k = 0; k < r; ++k) b[o * r + k] *= magnitude[o];
      }
    } else if (parts.magnitude != nullptr) {
      throw ModelFileError(adapter_.where_ + ": " + layer +
                           " has magnitudes, but use_dora is not set");
    }
    const WeightEntry* own_bias = by_columns ? nullptr : below(layer + ".bias");
    if (own_bias != nullptr) bias = all_as_floats(*own_bias);
    if (parts.bias != nullptr) {
      check_shape(layer, "lora_bias", parts.bias, out, 1);
      bias.resize(static_cast<std::size_t>(out));
      const auto added = numbers(*parts.bias);
      for (Index o = 0; o < out; ++o) bias[o] += scale * added[o];
    }

    if (layer == kPatches || layer == kPositions) {
      const LowRank small = changed();
      std::vector<float> merged(static_cast<std::size_t>(w.count()));
      for (Index p = 0; p < P; ++p) small.changed_row(w, p, std::span(merged).subspan(p * Q, Q));
      replace(weight_name(layer), w.shape, std::move(merged));
      if (!bias.empty()) replace(layer + ".bias", {out}, std::move(bias));
      return;
    }
    if (by_columns) {
      for (float& number : b) number *= config_.text.embedding_scale;
    }
    const auto vector = [&](std::vector<float> v) -> View<const float, 1> {
      if (v.empty()) return {};
      return {kept(std::move(v)).data(), {out}};
    };
    adapter_.layers_[layer] = {
        {kept(std::move(a)).data(), {by_columns ? in : r, by_columns ? r : in}},
        {kept(transposed(b, out, r)).data(), {r, out}},
        vector(std::move(magnitude)),
        vector(std::move(bias))};
  }

  void replace(const std::string& name, std::vector<Index> shape, std::vector<float> numbers) {
    const auto& floats = kept(std::move(numbers));
    adapter_.tensors_[name] = {WeightFormat::f32, std::move(shape),
                               std::as_bytes(std::span(floats))};
  }

  void replace_rows(const std::string& layer, const TensorEntry& rows) {
    const WeightEntry& table = weight_below(layer);
    const auto n = static_cast<Index>(how_.token_indices.size());
    const Index V = table.rows(), D = table.columns();
    if (layer != kEmbedding) {
      throw ModelFileError(adapter_.where_ + ": " + layer + "'s rows cannot be replaced");
    }
    check_shape(layer, "trainable_tokens_delta", &rows, n, D);
    const auto numbers = floats_of(rows, adapter_.where_ + ": " + layer);
    auto& copy = adapter_.embedding_rows_.emplace_back(table.bytes.begin(), table.bytes.end());
    for (Index i = 0; i < n; ++i) {
      const Index id = how_.token_indices[i];
      if (id >= V) {
        throw ModelFileError(how_.where + ": token " + std::to_string(id) + " of " +
                             std::to_string(V));
      }
      write_row(std::span(numbers).subspan(i * D, D), table.format,
                &copy[id * row_bytes(table.format, D)]);
    }
    adapter_.tensors_[weight_name(layer)] = {table.format, table.shape, copy};
  }

  Adapter& adapter_;
  AdapterConfig how_;
  const Checkpoint& base_;
  const Config& config_;
};

Adapter::Adapter(const fs::path& path, const Checkpoint& base, const Config& config)
    : where_(weights_of(path).string()), file_(where_) {
  Reader(*this, read_adapter_config(folder_of(path) / "adapter_config.json"), base, config).read();
}

}  // namespace paligemma
