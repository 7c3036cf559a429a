// Any bytes as a safetensors file: refused, or every tensor lies inside the file and has the bytes
// that its shape asks for.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "tensor/errors.h"
#include "tensor/safetensors.h"
#include "tests/fuzz/require.h"

using namespace paligemma;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = ::memfd_create("safetensors", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  require(::ftruncate(file, 0) == 0);
  require(::pwrite(file, data, size, 0) == static_cast<ssize_t>(size));
  try {
    const SafetensorsFile opened(path);
    std::size_t bytes = 0;
    for (const auto& [name, entry] : opened.tensors()) {
      // In either order: a product that overflows is a finding of the sanitizer.
      Index count = 1, backwards = 1;
      for (Index axis : entry.shape) count *= axis;
      for (auto axis = entry.shape.rbegin(); axis != entry.shape.rend(); ++axis) backwards *= *axis;
      require(count == entry.count() && count == backwards);
      require(size_of(entry.dtype) > 0 && count * size_of(entry.dtype) == std::ssize(entry.bytes));
      unsigned sum = 0;
      for (std::byte byte : entry.bytes) sum += static_cast<unsigned>(byte);
      asm volatile("" : : "r"(sum));  // so that every byte is read
      bytes += entry.bytes.size();
    }
    require(bytes < size);
  } catch (const ModelFileError&) {
  }
  return 0;
}
