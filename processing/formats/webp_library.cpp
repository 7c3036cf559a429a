#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>

#include "processing/formats/webp.h"
#include "tensor/errors.h"

namespace paligemma::formats {

// The decoder of animations takes stills too, and compares the size that the file says it has with the
// file, which WebPDecode does not. Bytes may stand behind it.
Picture decode_webp(Bytes file) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(file.data());
  WebPBitstreamFeatures features;
  const bool is_whole = file.size() >= 8 + little_endian(file, 4, 4);
  const std::string fault = is_whole ? "looks like WebP, but is damaged" : "the WebP is cut off";
  if (WebPGetFeatures(bytes, file.size(), &features) != VP8_STATUS_OK) throw ImageError(fault);
  check_size(static_cast<std::size_t>(features.width), static_cast<std::size_t>(features.height));

  const WebPData data{bytes, file.size()};
  const std::unique_ptr<WebPAnimDecoder, void (*)(WebPAnimDecoder*)> decoder(
      WebPAnimDecoderNew(&data, nullptr), WebPAnimDecoderDelete);
  std::uint8_t* canvas = nullptr;  // the decoder's; four channels
  int end_ms = 0;
  if (!decoder || !WebPAnimDecoderGetNext(decoder.get(), &canvas, &end_ms)) throw ImageError(fault);

  const Index C = features.has_alpha ? 4 : 3;
  Picture picture{Buffer<std::uint8_t, 3>({features.height, features.width, C}, unwritten)};
  std::uint8_t* pixels = picture.pixels.view().data();
  for (Index i = 0; i < Index{features.height} * features.width; ++i) {
    std::copy_n(canvas + 4 * i, C, pixels + C * i);
  }
  return picture;
}

std::string webp_decoder() {
  const int version = WebPGetDecoderVersion();
  return "libwebp " + std::to_string(version >> 16) + "." + std::to_string(version >> 8 & 255) +
         "." + std::to_string(version & 255);
}

}  // namespace paligemma::formats
