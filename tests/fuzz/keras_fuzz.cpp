// A preset of Keras as text: what libhdf5 may say of its file, or the index of its shards, as the first byte
// chooses. Refused, or every tensor of the model has its bytes, and each of its numbers lies among them. (What
// libhdf5 itself does with a damaged file is its own: it runs in a child process.)
#include <omp.h>

#include <cstdint>
#include <vector>

#include "paligemma/keras_preset.h"
#include "paligemma/stored_order_copy.h"
#include "paligemma/weight_files.h"
#include "tensor/errors.h"
#include "tests/fuzz/require.h"
#include "tests/support/temporary_folder.h"

using namespace paligemma;
using fuzz::require;

namespace {

Config small() {
  return parse_config(R"({"class_name": "PaliGemmaBackbone", "config": {
    "vocabulary_size": 11, "image_size": 4, "num_layers": 1, "num_query_heads": 2,
    "num_key_value_heads": 1, "hidden_dim": 4, "intermediate_dim": 14, "head_dim": 2,
    "vit_patch_size": 2, "vit_num_heads": 2, "vit_hidden_dim": 6, "vit_num_layers": 1,
    "vit_intermediate_dim": 5}})",
                      "small");
}

void read_datasets(std::string_view said) {
  static const Config config = small();
  static const std::vector<std::byte> file(4096);
  for (const auto& named : keras_entries(parse_datasets(said, file, "a.h5"), config, "a")) {
    const WeightEntry& entry = named.second;
    with_format(entry.format, [&]<class Stored>(Stored) {
      if constexpr (!Quantized<Stored>) {
        require(entry.count() * Index{sizeof(Stored)} == std::ssize(entry.bytes));
        std::vector<float> numbers(static_cast<std::size_t>(entry.count()));
        if (entry.order) copy_numbers<Stored>(entry.bytes.data(), *entry.order, numbers.data());
      }
    });
  }
}

void read_index(std::string_view text) {
  static const test::TemporaryFolder folder;
  test::write_text(folder / "model_00000.weights.h5", "a shard");
  test::write_text(folder / "model.weights.json", text);
  for (const auto& file : weight_files(folder.path())) require(file.parent_path() == folder.path());
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  omp_set_num_threads(1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    data[0] % 2 == 0 ? read_datasets(text) : read_index(text);
  } catch (const ModelFileError&) {
  }
  return 0;
}
