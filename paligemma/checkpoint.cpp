#include "paligemma/checkpoint.h"

#include <cstdint>
#include <cstring>
#include <numeric>
#include <set>
#include <string_view>

#include "tensor/errors.h"
#include "tensor/json.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

constexpr const char* kEmbedding = "language_model.model.embed_tokens.weight";
constexpr const char* kHead = "lm_head.weight";

bool drop_prefix(std::string& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.erase(0, prefix.size());
  return true;
}

// Tensors that some files hold and that nothing here needs.
bool is_ignorable(const std::string& name) {
  return name.starts_with("vision_tower.head.") || name.ends_with(".position_ids") ||
         name.ends_with(".rotary_emb.inv_freq");
}

// The files that the index names, or the single one.
std::vector<fs::path> weight_files(const fs::path& path) {
  if (!fs::is_directory(path)) return {path};
  const fs::path single = path / "model.safetensors";
  const fs::path index = path / "model.safetensors.index.json";
  if (fs::exists(single)) return {single};
  if (!fs::exists(index)) throw NotFoundError(single.string() + ": no such file");

  const MappedFile file(index);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  const auto json = parse_json_object(text, index.string());
  if (!json.contains("weight_map") || !json["weight_map"].is_object()) {
    throw ModelFileError(index.string() + ": has no weight_map");
  }
  std::set<fs::path> files;
  for (const auto& [name, shard] : json["weight_map"].items()) {
    // A plain name: an index must not lead out of its folder.
    const fs::path file_name = shard.is_string() ? shard.get<std::string>() : "";
    if (file_name.empty() || file_name != file_name.filename() || file_name == "..") {
      throw ModelFileError(index.string() + ": tensor " + name + ": " + shard.dump() +
                           " is not a file name");
    }
    std::error_code error;  // a name too long for the system is not there either
    if (!fs::exists(path / file_name, error)) {
      throw ModelFileError(index.string() + ": tensor " + name + " is in " + file_name.string() +
                           ", which is not there");
    }
    files.insert(path / file_name);
  }
  if (files.empty()) throw ModelFileError(index.string() + ": its weight_map is empty");
  return {files.begin(), files.end()};
}

// Blocks of quantised weights lie in a file as bytes, [O, blocks, bytes of a block]. Where a matrix is
// expected, they are one.
void recognize_blocks(const std::vector<ExpectedTensor>& expected,
                      std::map<std::string, TensorEntry>& found) {
  for (const ExpectedTensor& tensor : expected) {
    const auto entry = found.find(tensor.name);
    if (entry == found.end() || entry->second.dtype != DType::u8 || !is_text_matrix(tensor))
      continue;
    const std::vector<Index>& shape = tensor.shape;
    const auto is = [&](std::size_t block) {
      const std::vector<Index> bytes{shape[0], blocks_of(shape[1]), static_cast<Index>(block)};
      return entry->second.shape == bytes;
    };
    const bool int8 = is(sizeof(Int8Block));
    if (!int8 && !is(sizeof(Int4Block))) continue;
    entry->second.dtype = int8 ? DType::int8 : DType::int4;
    entry->second.shape = shape;
  }
}

void check_against(const std::vector<ExpectedTensor>& expected,
                   const std::map<std::string, TensorEntry>& found, const std::string& where) {
  std::set<std::string> wanted;
  for (const auto& [name, shape] : expected) {
    wanted.insert(name);
    const auto entry = found.find(name);
    if (entry == found.end()) throw ModelFileError(where + ": tensor " + name + " is missing");
    if (entry->second.shape != shape) {
      throw ModelFileError(where + ": tensor " + name + " is " + shape_text(entry->second.shape) +
                           ", config.json makes it " + shape_text(shape));
    }
    const DType dtype = entry->second.dtype;
    if (dtype != DType::f32 && dtype != DType::bf16 && dtype != DType::f16 &&
        !is_quantized(dtype)) {
      throw ModelFileError(where + ": tensor " + name + " is " + std::string(name_of(dtype)) +
                           ", weights are f32, bf16 or f16");
    }
  }
  for (const auto& [name, entry] : found) {
    if (wanted.count(name) == 0) {
      const bool gemma2 = name.find("feedforward_layernorm") != std::string::npos;
      throw ModelFileError(where + ": tensor " + name + " is not part of this model" +
                           (gemma2 ? " (it is PaliGemma 2's; config.json says PaliGemma 1)" : ""));
    }
  }
}

}  // namespace

std::string current_tensor_name(std::string name) {
  drop_prefix(name, "paligemma.");
  drop_prefix(name, "model.");
  if (drop_prefix(name, "vision_tower.vision_model.")) return "vision_tower." + name;
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
  for (const SafetensorsFile& file : files_) {
    const std::string where = file.path().string();
    for (const auto& [old_name, entry] : file.tensors()) {
      const std::string name = current_tensor_name(old_name);
      if (is_ignorable(name)) continue;
      if (!tensors_.emplace(name, entry).second) {
        throw ModelFileError(where + ": tensor " + old_name + " is there twice");
      }
    }
    const auto trained = file.metadata().find("trained");
    if (trained != file.metadata().end() && trained->second == "false") trained_ = false;
  }

  // Where head and embedding are one, either name will do. If both are there, both are used.
  std::vector<ExpectedTensor> expected = expected_tensors(config);
  const auto head = tensors_.find(kHead);
  if (config.tied_head && head != tensors_.end()) {
    if (tensors_.emplace(kEmbedding, head->second).second) {
      tensors_.erase(head);
    } else {
      expected.push_back({kHead, {config.text.vocabulary, config.text.width}});
    }
  }
  recognize_blocks(expected, tensors_);
  check_against(expected, tensors_, path.string());

  std::map<DType, Index> parameters;
  for (const auto& [name, entry] : tensors_) parameters[entry.dtype] += entry.count();
  for (const auto& [dtype, count] : parameters) {
    if (count > parameters[dtype_]) dtype_ = dtype;
  }
}

// The mapped numbers themselves if they can be used as they lie, a converted copy otherwise.
template <class Stored, class Real>
const Real* Checkpoint::numbers_as(const TensorEntry& entry) {
  const std::byte* bytes = entry.bytes.data();
  const bool is_aligned = reinterpret_cast<std::uintptr_t>(bytes) % alignof(Real) == 0;
  if (std::is_same_v<Stored, Real> && is_aligned) return reinterpret_cast<const Real*>(bytes);

  const auto count = static_cast<std::size_t>(entry.count());
  auto& copy = converted_.emplace_back(count * sizeof(Real));
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
  const TensorEntry& entry = tensors_.at(name);
  switch (entry.dtype) {
    case DType::f32:
      return numbers_as<float, Real>(entry);
    case DType::bf16:
      return numbers_as<bf16, Real>(entry);
    case DType::f16:
      return numbers_as<f16, Real>(entry);
    default:
      throw ModelFileError("tensor " + name + " is " + std::string(name_of(entry.dtype)) +
                           ": quantised weights are used as they are, leave out --dtype");
  }
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
  std::vector<std::span<const std::byte>> found;
  for (const auto& copy : converted_) found.emplace_back(copy);
  for (const SafetensorsFile& file : files_) {
    if (converted_.empty()) found.push_back(file.bytes());
  }
  return found;
}

void Checkpoint::touch(const LoadListener& listener) const {
  std::size_t all = 0, done = 0;
  for (const SafetensorsFile& file : files_) all += file.bytes().size();
  for (const SafetensorsFile& file : files_) {
    const auto bytes = file.bytes();
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
