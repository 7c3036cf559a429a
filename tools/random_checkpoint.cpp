// Writes a checkpoint of random weights in the layout of Hugging Face, at any published size:
//
//   random_checkpoint paligemma-3b-224 OUT              bf16, in shards of at most 2 GiB
//   random_checkpoint paligemma2-28b-896 OUT --sparse   headers alone; the weights are holes
//
// Matrices are uniform with a spread that keeps activations of unit size through any number of
// layers, norms neutral, so that the model runs as a trained one would and says something, though
// not anything sensible. A tokenizer must be put beside it (--tokenizer copies one; the embedding
// table of a published size has rows for every id).
#include <omp.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "paligemma/presets.h"
#include "paligemma/weights.h"
#include "tensor/numbers.h"
#include "tensor/philox.h"

namespace {

using namespace paligemma;
namespace fs = std::filesystem;
using nlohmann::json;

constexpr Index kBytesPerNumber = 2;  // bf16

Index count_of(const ExpectedTensor& tensor) {
  return std::accumulate(tensor.shape.begin(), tensor.shape.end(), Index{1}, std::multiplies<>());
}

// Uniform in [-1, 1) times this, plus that.
struct Spread {
  float width, center;
};

Spread spread_of(const ExpectedTensor& tensor, bool gemma_norm) {
  const bool is_vector = tensor.shape.size() == 1;
  if (is_vector && gemma_norm) return {0.1f, 0.0f};  // stored minus one
  if (is_vector && tensor.name.ends_with("bias")) return {0.02f, 0.0f};
  if (is_vector) return {0.1f, 1.0f};
  const Index inputs = count_of(tensor) / tensor.shape[0];
  return {std::sqrt(3.0f / static_cast<float>(inputs)), 0.0f};
}

// The numbers of tensor number `tensor_index`, each a function of its place alone.
std::vector<bf16> numbers_of(const ExpectedTensor& tensor, std::uint32_t tensor_index) {
  const bool is_text = tensor.name.starts_with("language_model.");
  const Spread spread = spread_of(tensor, is_text);
  std::vector<bf16> numbers(static_cast<std::size_t>(count_of(tensor)));
  constexpr Index kBlock = 8;  // 16-bit halves of one Philox block
#pragma omp parallel for
  for (Index block = 0; block < (count_of(tensor) + kBlock - 1) / kBlock; ++block) {
    const PhiloxBlock bits = philox({tensor_index, 0}, {static_cast<std::uint32_t>(block),
                                                        static_cast<std::uint32_t>(block >> 32)});
    for (Index i = block * kBlock; i < std::min(count_of(tensor), (block + 1) * kBlock); ++i) {
      const Index lane = i % kBlock;
      const std::uint32_t half = bits[lane / 2] >> (16 * (lane % 2)) & 0xffffu;
      const float uniform = static_cast<float>(half) * 0x1p-15f - 1.0f;
      numbers[i] = narrow<bf16>(spread.center + spread.width * uniform);
    }
  }
  return numbers;
}

void write(std::ofstream& file, const void* data, std::size_t bytes, const fs::path& path) {
  file.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  if (!file) throw std::runtime_error(path.string() + ": cannot be written");
}

// Tensors first .. last - 1 as one safetensors file.
void write_shard(const fs::path& path, const std::vector<ExpectedTensor>& tensors,
                 std::size_t first, std::size_t last, bool sparse) {
  json header = {{"__metadata__", {{"format", "pt"}, {"trained", "false"}}}};
  Index end = 0;
  for (std::size_t i = first; i < last; ++i) {
    const Index begin = end;
    end += count_of(tensors[i]) * kBytesPerNumber;
    header[tensors[i].name] = {
        {"dtype", "BF16"}, {"shape", tensors[i].shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // so that the numbers are aligned
  const std::uint64_t length = text.size();

  std::ofstream file(path, std::ios::binary);
  write(file, &length, sizeof length, path);
  write(file, text.data(), text.size(), path);
  if (sparse) {
    file.close();
    fs::resize_file(path, sizeof length + length + static_cast<std::uint64_t>(end));
    return;
  }
  for (std::size_t i = first; i < last; ++i) {
    const auto numbers = numbers_of(tensors[i], static_cast<std::uint32_t>(i));
    write(file, numbers.data(), numbers.size() * sizeof(bf16), path);
  }
  file.flush();
  if (!file) throw std::runtime_error(path.string() + ": cannot be written");
}

void write_json(const fs::path& path, const json& object) {
  std::ofstream file(path);
  file << object.dump(2) << "\n";
  if (!file) throw std::runtime_error(path.string() + ": cannot be written");
}

void write_checkpoint(const std::string& preset, const fs::path& out, bool sparse) {
  fs::create_directories(out);
  const json config_json = json::parse(preset_json(preset));
  write_json(out / "config.json", config_json);
  const auto tensors = expected_tensors(parse_config(config_json.dump(), preset));

  // Fill shards up to 2 GiB; a larger tensor has one of its own.
  constexpr Index kShardBytes = Index{2} << 30;
  std::vector<std::size_t> begins{0};
  Index bytes = 0, total = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Index more = count_of(tensors[i]) * kBytesPerNumber;
    if (bytes > 0 && bytes + more > kShardBytes) begins.push_back(i), bytes = 0;
    bytes += more;
    total += more;
  }
  json index = {{"metadata", {{"total_size", total}}}};
  for (std::size_t s = 0; s < begins.size(); ++s) {
    char name[64];
    std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", s + 1, begins.size());
    const std::size_t last = s + 1 < begins.size() ? begins[s + 1] : tensors.size();
    write_shard(out / name, tensors, begins[s], last, sparse);
    for (std::size_t i = begins[s]; i < last; ++i) index["weight_map"][tensors[i].name] = name;
  }
  write_json(out / "model.safetensors.index.json", index);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Writes a checkpoint of random weights.", "random_checkpoint");
  std::string preset, out, tokenizer;
  bool sparse = false;
  app.add_option("preset", preset, "paligemma-3b-224, paligemma2-10b-448, ...")->required();
  app.add_option("out", out, "Folder to write")->required();
  app.add_option("--tokenizer", tokenizer, "tokenizer.model to put beside it");
  app.add_flag("--sparse", sparse, "Headers only, weights as holes");
  CLI11_PARSE(app, argc, argv);
  try {
    write_checkpoint(preset, out, sparse);
    if (!tokenizer.empty()) {
      fs::copy_file(tokenizer, fs::path(out) / "tokenizer.model",
                    fs::copy_options::overwrite_existing);
    }
  } catch (const std::exception& error) {
    std::cerr << "random_checkpoint: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
