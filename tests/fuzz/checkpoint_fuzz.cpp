// Any text as the header of a small checkpoint's weights, behind two bytes that say how many bytes of data
// follow it: refused, or every tensor of the model has the bytes that its shape and format ask for, and all
// of them can be read as every type.
#include <omp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "paligemma/checkpoint.h"
#include "tensor/errors.h"
#include "tests/fuzz/require.h"

using namespace paligemma;
using fuzz::require;

namespace {

Config small() {
  return parse_config(R"({"model_type": "paligemma", "image_token_index": 11,
    "text_config": {"vocab_size": 11, "hidden_size": 4, "intermediate_size": 7,
      "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 2},
    "vision_config": {"image_size": 4, "patch_size": 2, "hidden_size": 6, "intermediate_size": 5,
      "num_hidden_layers": 1, "num_attention_heads": 2}})",
                      "small");
}

Index bytes_of(const WeightEntry& entry) {
  return with_format(entry.format, [&]<class Stored>(Stored) -> Index {
    const bool blocks = Quantized<Stored>;
    return Index{sizeof(Stored)} *
           (blocks ? entry.shape[0] * blocks_of(entry.shape[1]) : entry.count());
  });
}

// What is refused here is read as another type, or not at all.
template <class Read>
void read_if_possible(const Read& read) {
  try {
    read();
  } catch (const ModelFileError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  omp_set_num_threads(1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static const Config config = small();
  static const int file = ::memfd_create("checkpoint", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  const std::uint64_t length = size - 2;
  const int data_size = data[0] | data[1] << 8;
  require(::ftruncate(file, 0) == 0);
  require(::pwrite(file, &length, sizeof length, 0) == sizeof length);
  require(::pwrite(file, data + 2, length, sizeof length) == static_cast<ssize_t>(length));
  require(::ftruncate(file, static_cast<off_t>(sizeof length + length) + data_size) == 0);
  try {
    Checkpoint opened(path, config);
    for (const auto& [name, entry] : opened.tensors()) {
      require(entry.count() > 0 && bytes_of(entry) == std::ssize(entry.bytes));
    }
    read_if_possible([&] { opened.weights<float>(config); });
    read_if_possible([&] { opened.weights<bf16>(config); });
    read_if_possible([&] { opened.quantized_weights<Int8Block>(config, {}); });
    read_if_possible([&] { opened.quantized_weights<Int4Block>(config, {}); });
  } catch (const ModelFileError&) {
  }
  return 0;
}
