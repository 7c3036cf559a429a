// Any bytes as an .npz file, and as a .npy file in one: refused, or every array has the numbers that
// its shape asks for.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "tensor/errors.h"
#include "tensor/npz.h"
#include "tests/fuzz/require.h"

using namespace paligemma;
using fuzz::require;

namespace {

void require_whole(const NpyArray& array) {
  Index count = 1;
  for (Index axis : array.shape) count *= axis;
  require(count == std::ssize(array.numbers));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    require_whole(parse_npy(std::as_bytes(std::span(data, size)), "fuzz.npy"));
  } catch (const ModelFileError&) {
  }

  static const int file = ::memfd_create("npz", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  require(::ftruncate(file, 0) == 0);
  require(::pwrite(file, data, size, 0) == static_cast<ssize_t>(size));
  try {
    NpzFile opened(path);
    for (const auto& [name, index] : opened.arrays()) {
      try {
        require_whole(opened.read(name));
      } catch (const ModelFileError&) {
      }
    }
  } catch (const ModelFileError&) {
  }
  return 0;
}
