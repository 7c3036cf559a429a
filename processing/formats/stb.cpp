#include "processing/formats/stb.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "tensor/errors.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
// Zeros: stb_image 2.27 looks Huffman codes up in tables that a damaged JPEG never gave.
#define STBI_MALLOC(bytes) std::calloc(1, bytes)
#define STBI_REALLOC std::realloc
#define STBI_FREE std::free
#include <stb_image.h>

namespace paligemma::formats {
namespace {

const stbi_uc* data_of(Bytes file) { return reinterpret_cast<const stbi_uc*>(file.data()); }

// stb_image's own words, which may quote bytes of the file. It tries PNG first and keeps what that said
// of a file of another format whose decoder says nothing.
std::string failure() {
  std::string reason = stbi_failure_reason();
  if (reason == "bad png sig") return "is damaged";
  std::replace_if(
      reason.begin(), reason.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return reason;
}

}  // namespace

Picture stb_decode(Bytes file, std::string_view format, int channels) {
  int W = 0, H = 0, stored = 0;
  if (!stbi_info_from_memory(data_of(file), static_cast<int>(file.size()), &W, &H, &stored)) {
    throw ImageError("looks like " + std::string(format) +
                     ", but its header is damaged or asks for too many pixels");
  }
  const auto positive = [](int size) { return static_cast<std::size_t>(std::max(size, 0)); };
  check_size(positive(W), positive(H));

  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data_of(file), static_cast<int>(file.size()), &W, &H, &stored,
                            channels),
      stbi_image_free);
  if (!pixels) throw ImageError("looks like " + std::string(format) + ", but " + failure());
  Picture picture{Buffer<std::uint8_t, 3>({H, W, channels}, unwritten)};
  std::copy_n(pixels.get(), picture.pixels.view().count(), picture.pixels.view().data());
  return picture;
}

std::string stb_inflate(std::string_view packed, std::size_t max_size) {
  constexpr std::size_t kMostOfOne = 1032;  // a byte of zlib's stands for no more
  std::string text(std::min(max_size, kMostOfOne * packed.size()), '\0');
  const int size = stbi_zlib_decode_buffer(text.data(), static_cast<int>(text.size()),
                                           packed.data(), static_cast<int>(packed.size()));
  text.resize(static_cast<std::size_t>(std::max(size, 0)));
  return text;
}

}  // namespace paligemma::formats
