#include "paligemma/checkpoint.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <set>
#include <string_view>

#include "paligemma/adapter.h"
#include "paligemma/keras_preset.h"
#include "paligemma/other_models.h"
#include "paligemma/stored_order_copy.h"
#include "paligemma/weight_files.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/paths.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

constexpr const char* kEmbedding = "language_model.model.embed_tokens.weight";
constexpr const char* kHead = "lm_head.weight";
constexpr const char* kRetrieval = "embedding_proj_layer.weight";

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

Checkpoint::Checkpoint(const fs::path& path, const Config& config) {
  const std::vector<fs::path> files = weight_files(path);
  if (files.front().extension() == ".h5") {
    for (const fs::path& file : files) keras_files_.emplace_back(file);
    tensors_ = keras_entries(datasets_of(keras_files_), as_stored(config), path.string());
  } else {
    for (const fs::path& file : files) files_.emplace_back(file);
    tensors_ = safetensors_entries(config, path);
  }
  std::map<WeightFormat, Index> parameters;
  for (const auto& [name, entry] : tensors_) parameters[entry.format] += entry.count();
  for (const auto& [format, count] : parameters) {
    if (count > parameters[format_]) format_ = format;
  }
}

std::map<std::string, WeightEntry> Checkpoint::safetensors_entries(const Config& config,
                                                                   const fs::path& path) {
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
      has_pooling_head_ |= is_of_pooling_head(name);
      if (name == kRetrieval && !entry.shape.empty()) retrieval_width_ = entry.shape[0];
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
  return entries_of(expected, found, path.string());
}

// What is to be copied and what lies behind it, so that the disk goes on while this is done.
void Checkpoint::fetch(const WeightEntry& entry) const {
  constexpr std::ptrdiff_t kAhead = std::ptrdiff_t{256} << 20;
  for (const Hdf5File& file : keras_files_) {
    const std::ptrdiff_t begin = entry.bytes.data() - file.bytes().data();
    const std::ptrdiff_t left = std::ssize(file.bytes()) - begin;
    if (begin < 0 || left <= 0) continue;
    fetch_pages({entry.bytes.data(), static_cast<std::size_t>(std::min(left, kAhead))});
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

std::byte* Checkpoint::make_copy(const std::string& name, std::size_t bytes) {
  using Copy = Buffer<std::byte, 1>;
  Copy& copy = converted_.emplace(name, Copy({static_cast<Index>(bytes)}, unwritten))->second;
  ask_for_large_pages({copy.view().data(), bytes});
  return copy.view().data();
}

// The mapped numbers themselves if they can be used as they lie, a converted copy otherwise.
template <class Stored, class Real>
const Real* Checkpoint::numbers_as(const std::string& name) {
  const WeightEntry& entry = tensors_.at(name);
  const std::byte* bytes = entry.bytes.data();
  const bool is_aligned = reinterpret_cast<std::uintptr_t>(bytes) % alignof(Real) == 0;
  const bool is_ours = std::is_same_v<Stored, Real> && is_aligned && !entry.order;
  if (is_ours) return reinterpret_cast<const Real*>(bytes);

  const Index count = entry.count();
  auto* const out =
      reinterpret_cast<Real*>(make_copy(name, static_cast<std::size_t>(count) * sizeof(Real)));
  const StoredOrder as_it_lies{{1, 1, count}, {0, 0, 1}};
  fetch(entry);
  copy_numbers<Stored>(bytes, entry.order.value_or(as_it_lies), out);
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

namespace {

// The same stretches, those that touch as one.
std::vector<std::span<const std::byte>> joined(std::vector<std::span<const std::byte>> parts) {
  std::vector<std::span<const std::byte>> found;
  std::sort(parts.begin(), parts.end(), [](auto a, auto b) { return a.data() < b.data(); });
  for (std::size_t i = 0, next = 0; i < parts.size(); i = next) {
    std::size_t bytes = 0;
    for (; next < parts.size() && parts[next].data() == parts[i].data() + bytes; ++next) {
      bytes += parts[next].size();
    }
    found.emplace_back(parts[i].data(), bytes);
  }
  return found;
}

}  // namespace

std::vector<std::span<const std::byte>> Checkpoint::memory() const {
  std::vector<std::span<const std::byte>> mapped, found;
  for (const auto& [name, entry] : tensors_) {
    if (!converted_.contains(name)) mapped.push_back(entry.bytes);
  }
  for (const auto& [name, copy] : converted_) {
    found.emplace_back(copy.view().data(), static_cast<std::size_t>(copy.view().count()));
  }
  const auto stretches = joined(std::move(mapped));
  found.insert(found.end(), stretches.begin(), stretches.end());
  return found;
}

std::size_t Checkpoint::stored_bytes() const {
  std::size_t all = 0;
  for (const auto& [name, entry] : tensors_) all += entry.bytes.size();
  return all;
}

void Checkpoint::touch(const LoadListener& listener) const {
  std::vector<std::span<const std::byte>> in_order;
  for (const auto& [name, entry] : tensors_) {
    if (!entry.order) in_order.push_back(entry.bytes);
  }
  const std::size_t all = stored_bytes();
  std::size_t done = 0;
  for (const auto bytes : joined(std::move(in_order))) {
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
  if (config.retrieval_width_is_open && retrieval_width_ > 0) {
    config.retrieval_width = retrieval_width_;
  }
  return config;
}

namespace {

// For load_weights, which asks for every tensor; their shapes have been checked.
template <class Real>
struct HostSource {
  Checkpoint& checkpoint;
  const LoadListener& listener;
  std::size_t done, all;

  auto matrix(const std::string& name, const std::vector<Index>& shape) {
    const auto found = checkpoint.matrix<Real>(name, shape);
    const WeightEntry& entry = checkpoint.tensors().at(name);
    if (entry.order && listener) listener(done += entry.bytes.size(), all);
    return found;
  }
  auto vector(const std::string& name, Index length) const {
    return checkpoint.vector<Real>(name, length);
  }
  auto adapter(const std::string& layer) const { return checkpoint.adapter(layer); }
};

}  // namespace

template <class Real>
ModelWeights<HostWeights<Real>> Checkpoint::weights(const Config& config,
                                                    const LoadListener& listener) {
  const std::size_t all = stored_bytes();
  std::size_t to_copy = 0;
  for (const auto& [name, entry] : tensors_) to_copy += entry.order ? entry.bytes.size() : 0;
  HostSource<Real> source{*this, listener, all - to_copy, all};
  return load_weights<HostWeights<Real>>(as_stored(config), source);
}

template ModelWeights<HostWeights<float>> Checkpoint::weights(const Config&, const LoadListener&);
template ModelWeights<HostWeights<bf16>> Checkpoint::weights(const Config&, const LoadListener&);
template ModelWeights<HostWeights<f16>> Checkpoint::weights(const Config&, const LoadListener&);
template View<const float, 2> Checkpoint::matrix(const std::string&, const std::vector<Index>&);
template View<const bf16, 2> Checkpoint::matrix(const std::string&, const std::vector<Index>&);
template View<const f16, 2> Checkpoint::matrix(const std::string&, const std::vector<Index>&);
template View<const float, 1> Checkpoint::vector(const std::string&, Index);
template View<const bf16, 1> Checkpoint::vector(const std::string&, Index);
template View<const f16, 1> Checkpoint::vector(const std::string&, Index);

}  // namespace paligemma
