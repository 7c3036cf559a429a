#include "paligemma/checkpoint.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <set>
#include <string_view>

#include "paligemma/adapter.h"
#include "paligemma/other_models.h"
#include "paligemma/weight_files.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/paths.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

constexpr const char* kEmbedding = "language_model.model.embed_tokens.weight";
constexpr const char* kHead = "lm_head.weight";
constexpr std::string_view kPoolingHead = "vision_tower.head.";

bool drop_prefix(std::string& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.erase(0, prefix.size());
  return true;
}

// How a tensor's weights lie in a file: as numbers in its shape, or, if it is a matrix of the language model,
// as blocks, which the file calls bytes of the shape [O, blocks, bytes of a block].
WeightFormat format_of(const ExpectedTensor& expected, const TensorEntry& found,
                       const std::string& where) {
  if (found.dtype == DType::u8 && is_text_matrix(expected)) {
    const Index O = expected.shape[0], blocks = blocks_of(expected.shape[1]);
    const std::vector<Index> int8{O, blocks, sizeof(Int8Block)}, int4{O, blocks, sizeof(Int4Block)};
    if (found.shape == int8) return WeightFormat::int8_blocks;
    if (found.shape == int4) return WeightFormat::int4_blocks;
  }
  if (found.shape != expected.shape) {
    throw ModelFileError(where + " is " + shape_text(found.shape) + ", config.json makes it " +
                         shape_text(expected.shape));
  }
  return weight_format_of(found, where);
}

// Every tensor that is expected, and no other.
std::map<std::string, WeightEntry> entries_of(const std::vector<ExpectedTensor>& expected,
                                              const std::map<std::string, TensorEntry>& found,
                                              const std::string& path) {
  std::map<std::string, WeightEntry> entries;
  for (const ExpectedTensor& tensor : expected) {
    const std::string where = path + ": tensor " + tensor.name;
    const auto entry = found.find(tensor.name);
    if (entry == found.end()) throw ModelFileError(where + " is missing");
    entries[tensor.name] = {format_of(tensor, entry->second, where), tensor.shape,
                            entry->second.bytes};
  }
  for (const auto& [name, entry] : found) {
    if (entries.count(name) == 0) {
      const bool gemma2 = name.find("feedforward_layernorm") != std::string::npos;
      throw ModelFileError(path + ": tensor " + name + " is not part of this model" +
                           (gemma2 ? " (it is PaliGemma 2's; config.json says PaliGemma 1)" : ""));
    }
  }
  return entries;
}

}  // namespace

bool is_ignored(const std::string& name, const Config& config) {
  if (name.ends_with(".position_ids") || name.ends_with(".rotary_emb.inv_freq")) return true;
  if (name.starts_with(kPoolingHead)) return !config.pooling_head;
  if (config.text.layers > 0) return false;
  for (const char* text : {"language_model.", "lm_head.", "text_model.", "logit_"}) {
    if (name.starts_with(text)) return true;
  }
  return false;
}

std::string current_tensor_name(std::string name) {
  drop_prefix(name, "base_model.model.");
  drop_prefix(name, "paligemma.");
  drop_prefix(name, "model.");
  for (const char* tower : {"vision_tower.vision_model.", "vision_model."}) {
    if (drop_prefix(name, tower)) return "vision_tower." + name;
  }
  for (const char* part : {"embeddings.", "encoder.", "post_layernorm.", "head."}) {
    if (name.starts_with(part)) return "vision_tower." + name;
  }
  if (drop_prefix(name, "language_model.lm_head.")) return "lm_head." + name;
  if (drop_prefix(name, "language_model.")) {
    drop_prefix(name, "model.");
    return "language_model.model." + name;
  }
  return name;
}

Checkpoint::Checkpoint(const fs::path& path, const Config& config) {
  for (const fs::path& file : weight_files(path)) files_.emplace_back(file);

  // Every tensor under its current name.
  std::map<std::string, TensorEntry> found;
  for (const SafetensorsFile& file : files_) {
    const std::string where = file.path().string();
    for (const auto& [old_name, entry] : file.tensors()) {
      const std::string name = current_tensor_name(old_name);
      if (is_ignored(name, config)) continue;
      if (const std::string other = other_model_of(old_name); !other.empty()) {
        throw ModelFileError(where + ": tensor " + old_name + " is " + other);
      }
      has_pooling_head_ |= name.starts_with(kPoolingHead);
      if (!found.emplace(name, entry).second) {
        throw ModelFileError(where + ": tensor " + old_name + " is there twice");
      }
    }
    const auto trained = file.metadata().find("trained");
    if (trained != file.metadata().end() && trained->second == "false") trained_ = false;
  }

  // Where head and embedding are one, either name will do. If both are there, both are used.
  std::vector<ExpectedTensor> expected = expected_tensors(as_stored(config));
  const auto head = found.find(kHead);
  if (config.tied_head && head != found.end()) {
    if (found.emplace(kEmbedding, head->second).second) {
      found.erase(head);
    } else {
      expected.push_back({kHead, {config.text.vocabulary, config.text.width}});
    }
  }
  tensors_ = entries_of(expected, found, path.string());

  std::map<WeightFormat, Index> parameters;
  for (const auto& [name, entry] : tensors_) parameters[entry.format] += entry.count();
  for (const auto& [format, count] : parameters) {
    if (count > parameters[format_]) format_ = format;
  }
}

void Checkpoint::adapt(std::shared_ptr<const Adapter> adapter) {
  for (const auto& [name, entry] : adapter->tensors()) tensors_[name] = entry;
  adapter_ = std::move(adapter);
}

const Lora<HostWeights<float>>* Checkpoint::adapter(const std::string& layer) const {
  if (!adapter_) return nullptr;
  const auto found = adapter_->layers().find(layer);
  return found != adapter_->layers().end() ? &found->second : nullptr;
}

std::vector<std::byte>& Checkpoint::make_copy(const std::string& name, std::size_t bytes) {
  return converted_.emplace(name, bytes)->second;
}

// The mapped numbers themselves if they can be used as they lie, a converted copy otherwise.
template <class Stored, class Real>
const Real* Checkpoint::numbers_as(const std::string& name) {
  const WeightEntry& entry = tensors_.at(name);
  const std::byte* bytes = entry.bytes.data();
  const bool is_aligned = reinterpret_cast<std::uintptr_t>(bytes) % alignof(Real) == 0;
  if (std::is_same_v<Stored, Real> && is_aligned) return reinterpret_cast<const Real*>(bytes);

  const auto count = static_cast<std::size_t>(entry.count());
  auto& copy = make_copy(name, count * sizeof(Real));
  auto* out = reinterpret_cast<Real*>(copy.data());
  for (std::size_t i = 0; i < count; ++i) {
    Stored number;
    std::memcpy(&number, bytes + i * sizeof number, sizeof number);
    out[i] = narrow<Real>(widen(number));
  }
  return out;
}

template <class Real>
const Real* Checkpoint::numbers(const std::string& name) {
  const WeightFormat stored = tensors_.at(name).format;
  return with_format(stored, [&]<class Stored>(Stored) -> const Real* {
    if constexpr (Quantized<Stored>) {
      throw ModelFileError("tensor " + name + " is " + std::string(name_of(stored)) +
                           ": quantised weights are used as they are, leave out --dtype");
    } else {
      return numbers_as<Stored, Real>(name);
    }
  });
}

template <class Real>
View<const Real, 2> Checkpoint::matrix(const std::string& name, const std::vector<Index>& shape) {
  const Index columns =
      std::accumulate(shape.begin() + 1, shape.end(), Index{1}, std::multiplies<>());
  return {numbers<Real>(name), {shape[0], columns}};
}

template <class Real>
View<const Real, 1> Checkpoint::vector(const std::string& name, Index length) {
  return {numbers<Real>(name), {length}};
}

std::vector<std::span<const std::byte>> Checkpoint::memory() const {
  std::vector<std::span<const std::byte>> mapped, found;
  for (const auto& [name, entry] : tensors_) {
    if (!converted_.contains(name)) mapped.push_back(entry.bytes);
  }
  for (const auto& [name, copy] : converted_) found.emplace_back(copy);

  // Tensors that lie one behind the other are one stretch.
  std::sort(mapped.begin(), mapped.end(), [](auto a, auto b) { return a.data() < b.data(); });
  for (std::size_t i = 0, next = 0; i < mapped.size(); i = next) {
    std::size_t bytes = 0;
    for (; next < mapped.size() && mapped[next].data() == mapped[i].data() + bytes; ++next) {
      bytes += mapped[next].size();
    }
    found.emplace_back(mapped[i].data(), bytes);
  }
  return found;
}

void Checkpoint::touch(const LoadListener& listener) const {
  const auto mapped = memory();
  std::size_t all = 0, done = 0;
  for (const auto bytes : mapped) all += bytes.size();
  for (const auto bytes : mapped) {
    constexpr std::size_t kPiece = std::size_t{256} << 20;
    for (std::size_t begin = 0; begin < bytes.size(); begin += kPiece) {
      const std::size_t count = std::min(kPiece, bytes.size() - begin);
      touch_pages(bytes.subspan(begin, count));
      done += count;
      if (listener) listener(done, all);
    }
  }
}

Config Checkpoint::as_stored(Config config) const {
  if (tensors_.count(kHead) != 0) config.tied_head = false;
  config.pooling_head &= has_pooling_head_;
  return config;
}

namespace {

// For load_weights, which asks for every tensor; their shapes have been checked.
template <class Real>
struct HostSource {
  Checkpoint& checkpoint;
  auto matrix(const std::string& name, const std::vector<Index>& shape) const {
    return checkpoint.matrix<Real>(name, shape);
  }
  auto vector(const std::string& name, Index length) const {
    return checkpoint.vector<Real>(name, length);
  }
  auto adapter(const std::string& layer) const { return checkpoint.adapter(layer); }
};

}  // namespace

template <class Real>
ModelWeights<HostWeights<Real>> Checkpoint::weights(const Config& config) {
  const HostSource<Real> source{*this};
  return load_weights<HostWeights<Real>>(as_stored(config), source);
}

template ModelWeights<HostWeights<float>> Checkpoint::weights(const Config&);
template ModelWeights<HostWeights<bf16>> Checkpoint::weights(const Config&);
template ModelWeights<HostWeights<f16>> Checkpoint::weights(const Config&);
template View<const float, 2> Checkpoint::matrix(const std::string&, const std::vector<Index>&);
template View<const bf16, 2> Checkpoint::matrix(const std::string&, const std::vector<Index>&);
template View<const f16, 2> Checkpoint::matrix(const std::string&, const std::vector<Index>&);
template View<const float, 1> Checkpoint::vector(const std::string&, Index);
template View<const bf16, 1> Checkpoint::vector(const std::string&, Index);
template View<const f16, 1> Checkpoint::vector(const std::string&, Index);

}  // namespace paligemma
