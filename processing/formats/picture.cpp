#include "processing/formats/picture.h"

#include <string>

#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION  // for more inputs a second
constexpr std::size_t kMaxPixels = 1 << 16;
#else
constexpr std::size_t kMaxPixels = 178'956'970;  // Pillow's limit
#endif

}  // namespace

std::string_view characters(Bytes file) {
  return {reinterpret_cast<const char*>(file.data()), file.size()};
}

std::size_t byte_at(Bytes file, std::size_t at) {
  return at < file.size() ? std::to_integer<std::size_t>(file[at]) : 0;
}

std::size_t little_endian(Bytes file, std::size_t at, int bytes) {
  std::size_t number = 0;
  for (int i = bytes - 1; i >= 0; --i) number = number << 8 | byte_at(file, at + i);
  return number;
}

std::size_t big_endian(Bytes file, std::size_t at, int bytes) {
  std::size_t number = 0;
  for (int i = 0; i < bytes; ++i) number = number << 8 | byte_at(file, at + i);
  return number;
}

void check_size(std::size_t W, std::size_t H) {
  if (W == 0 || H == 0) throw ImageError("has no pixels");
  if (H > kMaxPixels / W) {
    throw ImageError(std::to_string(W) + " x " + std::to_string(H) + " pixels are more than the " +
                     std::to_string(kMaxPixels) + " that are read");
  }
}

}  // namespace paligemma::formats
