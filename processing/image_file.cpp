#include "processing/image_file.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <new>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "tensor/errors.h"
#include "tensor/paths.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_NO_PSD
#define STBI_NO_PIC
// Zeros: stb_image 2.27 looks Huffman codes up in tables that a damaged JPEG never gave.
#define STBI_MALLOC(bytes) std::calloc(1, bytes)
#define STBI_REALLOC std::realloc
#define STBI_FREE std::free
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb_image.h>
#include <stb_image_write.h>

namespace paligemma {
namespace {

constexpr std::int64_t kMaxPixels = 100'000'000;
constexpr std::size_t kMaxFileBytes = std::size_t{1} << 30;

struct Magic {
  std::size_t offset;
  std::string_view bytes;
  std::string_view format;
  bool readable;
};

using namespace std::string_view_literals;
constexpr std::array<Magic, 20> kMagics{{{0, "\x89PNG\r\n\x1a\n"sv, "PNG", true},
                                         {0, "\xff\xd8\xff"sv, "JPEG", true},
                                         {0, "GIF8"sv, "GIF", true},
                                         {0, "BM"sv, "BMP", true},
                                         {0, "P5"sv, "PGM", true},
                                         {0, "P6"sv, "PPM", true},
                                         {0, "8BPS"sv, "PSD", false},
                                         {0, "\x53\x80\xf6\x34"sv, "Softimage PIC", false},
                                         {8, "WEBP"sv, "WebP", false},
                                         {4, "ftypavif"sv, "AVIF", false},
                                         {4, "ftyphei"sv, "HEIC", false},
                                         {4, "ftypmif1"sv, "HEIF", false},
                                         {0, "II*\0"sv, "TIFF", false},
                                         {0, "MM\0*"sv, "TIFF", false},
                                         {0, "\xff\x0a"sv, "JPEG XL", false},
                                         {0, "\0\0\0\x0cJXL "sv, "JPEG XL", false},
                                         {0, "%PDF"sv, "PDF", false},
                                         {0, "<svg"sv, "SVG", false},
                                         {0, "<?xml"sv, "XML or SVG", false},
                                         {0, "#?RADIANCE"sv, "Radiance HDR", false}}};

const Magic* magic_of(std::string_view file) {
  for (const Magic& magic : kMagics) {
    if (file.size() >= magic.offset && file.substr(magic.offset).starts_with(magic.bytes)) {
      return &magic;
    }
  }
  return nullptr;
}

// stb_image fills what is missing at the end of a file with grey or black and says nothing. So where
// a picture ends is found out here, before it decodes.

std::size_t byte_at(std::string_view file, std::size_t at) {
  return at < file.size() ? static_cast<unsigned char>(file[at]) : 0;
}

std::size_t little_endian(std::string_view file, std::size_t at, int bytes) {
  std::size_t number = 0;
  for (int i = bytes - 1; i >= 0; --i) number = number << 8 | byte_at(file, at + i);
  return number;
}

// A GIF is a header, blocks and a semicolon. Two kinds of block begin differently, and both end in
// pieces of up to 255 bytes, each behind its length, the last of length 0.
bool gif_ends(std::string_view file) {
  const auto table = [&](std::size_t flags) {
    return flags & 0x80 ? std::size_t{6} << (flags & 7) : std::size_t{0};
  };
  std::size_t at = 13 + table(byte_at(file, 10));
  while (at < file.size() && file[at] != ';') {
    const bool is_picture = file[at] == ',';
    at += is_picture ? 11 + table(byte_at(file, at + 9)) : 2;
    while (byte_at(file, at) != 0) at += 1 + byte_at(file, at);
    ++at;
  }
  return at < file.size();
}

// How many bytes a BMP has: its pixels begin at an offset, and its rows are whole numbers of 32 bits.
std::size_t bmp_size(std::string_view file, std::size_t W, std::size_t H) {
  const bool is_old = little_endian(file, 14, 4) == 12;
  const std::size_t bits = little_endian(file, is_old ? 24 : 28, 2);
  return little_endian(file, 10, 4) + (W * bits + 31) / 32 * 4 * H;
}

// A PGM or PPM: behind the letters width, height and the largest sample, each behind blanks and
// comments, then one blank. stb_image does not see that a number is too long for it.
struct PnmHeader {
  std::size_t pixels_at = 2, largest = 0;
  bool is_sound = true;
};

PnmHeader pnm_header(std::string_view file) {
  PnmHeader header;
  std::size_t& at = header.pixels_at;
  const auto skip_to = [&](std::size_t next) { at = std::min(next, file.size()); };
  for (int i = 0; i < 3; ++i) {
    constexpr std::string_view kBlanks = " \t\n\v\f\r", kDigits = "0123456789";
    skip_to(file.find_first_not_of(kBlanks, at));
    while (byte_at(file, at) == '#') {
      skip_to(file.find_first_of("\n\r", at));
      skip_to(file.find_first_not_of(kBlanks, at));
    }
    const std::size_t number = at;
    skip_to(file.find_first_not_of(kDigits, at));
    header.is_sound &= at > number && at - number <= 9;
    header.largest = 0;
    for (char digit : file.substr(number, at - number)) {
      header.largest = 10 * header.largest + static_cast<std::size_t>(digit - '0');
    }
  }
  ++at;
  return header;
}

// A TGA: a header, a name, a palette, then pixels, or runs of pixels if bit 3 of the type is set.
bool tga_ends(std::string_view file, std::size_t W, std::size_t H) {
  const auto bytes_of = [](std::size_t bits) { return (bits + 7) / 8; };
  std::size_t at = 18 + byte_at(file, 0);
  if (byte_at(file, 1) == 1) at += little_endian(file, 5, 2) * bytes_of(byte_at(file, 7));
  const std::size_t pixel = bytes_of(byte_at(file, 16));
  const bool has_runs = (byte_at(file, 2) & 8) != 0;
  if (!has_runs) at += W * H * pixel;
  for (std::size_t seen = 0; has_runs && seen < W * H;) {
    if (at >= file.size()) return false;
    const std::size_t run = byte_at(file, at), length = (run & 0x7f) + 1;
    at += 1 + (run & 0x80 ? 1 : length) * pixel;
    seen += length;
  }
  return at <= file.size();
}

bool is_truncated(std::string_view file, std::string_view format, int width, int height) {
  const auto W = static_cast<std::size_t>(width), H = static_cast<std::size_t>(height);
  if (format == "PNG") {
    const auto end = file.rfind("IEND");
    return end == file.npos || file.size() < end + 8;  // a checksum follows
  }
  if (format == "JPEG") {
    const auto scan = file.rfind("\xff\xda"sv), end = file.rfind("\xff\xd9"sv);
    return end == file.npos || (scan != file.npos && end < scan);
  }
  if (format == "GIF") return !gif_ends(file);
  if (format == "BMP") return file.size() < bmp_size(file, W, H);
  if (format == "TGA") return !tga_ends(file, W, H);
  return file.size() < pnm_header(file).pixels_at + W * H * (format == "PPM" ? 3 : 1);
}

// A JPEG is a row of segments: 0xff, a letter, a length, and after the letter 0xda coded pixels. A
// Huffman table (0xc4) has up to 256 codes; stb_image would write more of them past its own memory.
bool huffman_tables_fit(std::string_view file) {
  const auto big_endian = [&](std::size_t at) {
    return byte_at(file, at) << 8 | byte_at(file, at + 1);
  };
  std::size_t at = 2;
  while ((at = file.find('\xff', at)) != file.npos) {
    while (byte_at(file, at) == 0xff) ++at;
    const std::size_t letter = byte_at(file, at++);
    if (letter == 0xd9) return true;                                  // the end
    if (letter == 0 || (letter >= 0xd0 && letter <= 0xd8)) continue;  // these have no length

    const std::size_t end = at + std::max<std::size_t>(big_endian(at), 2);
    at += 2;
    while (letter == 0xc4 && at < end) {
      std::size_t codes = 0;
      for (int bits = 1; bits <= 16; ++bits) codes += byte_at(file, at + bits);
      if (codes > 256) return false;
      at += 17 + codes;
    }
    at = end;
  }
  return true;
}

// stb_image's own words, which may quote bytes of the file.
std::string failure() {
  std::string reason = stbi_failure_reason();
  std::replace_if(
      reason.begin(), reason.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return reason;
}

std::string slurp(std::istream& in) {
  std::string bytes;
  std::array<char, 1 << 16> block;
  while (in && bytes.size() <= kMaxFileBytes) {
    in.read(block.data(), block.size());
    bytes.append(block.data(), static_cast<std::size_t>(in.gcount()));
  }
  return bytes;
}

}  // namespace

RgbImage decode_image(std::span<const std::byte> bytes, const std::string& name) {
  const std::string_view file(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (file.empty()) throw ImageError(name + ": the file is empty");
  if (file.size() > kMaxFileBytes) throw ImageError(name + ": larger than 1 GiB");
  const Magic* magic = magic_of(file);
  if (magic && !magic->readable) {
    throw ImageError(name + ": looks like " + std::string(magic->format) +
                     ", which is not read here; convert it to PNG or JPEG");
  }

  // TGA has no magic number, so it is believed only of a file with that name. What begins with 0xff,
  // stb_image takes for a JPEG.
  const bool is_tga =
      !magic && std::filesystem::path(name).extension() == ".tga" && byte_at(file, 0) != 0xff;
  if (!magic && !is_tga) throw ImageError(name + ": not a picture of a known format");
  const std::string format(magic ? magic->format : "TGA");

  // What stb_image believes of a header is looked at before it does.
  const bool is_pnm = format == "PGM" || format == "PPM";
  const bool is_sound =
      format == "JPEG" ? huffman_tables_fit(file) : !is_pnm || pnm_header(file).is_sound;
  const auto* data = reinterpret_cast<const stbi_uc*>(file.data());
  const auto size = static_cast<int>(file.size());
  int W = 0, H = 0, channels = 0;
  if (!is_sound || !stbi_info_from_memory(data, size, &W, &H, &channels)) {
    throw ImageError(name + ": looks like " + format +
                     ", but its header is damaged or asks for too many pixels");
  }
  if (W <= 0 || H <= 0) throw ImageError(name + ": has no pixels");
  if (std::int64_t{W} * H > kMaxPixels) {
    throw ImageError(name + ": " + std::to_string(W) + " x " + std::to_string(H) +
                     " pixels are more than the 100 million that are read");
  }
  if (is_pnm && pnm_header(file).largest != 255) {  // stb_image would read past its own memory
    throw ImageError(name + ": its samples do not go from 0 to 255; convert it to PNG");
  }
  if (is_truncated(file, format, W, H)) throw ImageError(name + ": the " + format + " is cut off");

  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data, size, &W, &H, &channels, 3), stbi_image_free);
  if (!pixels) throw ImageError(name + ": looks like " + format + ", but " + failure());
  RgbImage image({H, W, 3}, unwritten);
  std::copy_n(pixels.get(), image.view().count(), image.view().data());
  return image;
}

RgbImage read_image(const std::filesystem::path& path) {
  const auto decoded = [](std::istream& in, const std::string& name) {
    const std::string bytes = slurp(in);
    return decode_image(std::as_bytes(std::span(bytes)), name);
  };
  if (path == "-") return decoded(std::cin, "standard input");
  if (!is_there(path)) throw ImageError(path.string() + ": no such file");
  if (is_folder(path)) throw ImageError(path.string() + ": is a folder");
  if (is_device(path)) throw ImageError(path.string() + ": is a device");
  std::ifstream file(path, std::ios::binary);
  if (!file) throw ImageError(path.string() + ": cannot be opened");
  return decoded(file, path.string());
}

std::string encode_png(View<const std::uint8_t, 3> image) {
  const auto H = static_cast<int>(image.size(0)), W = static_cast<int>(image.size(1));
  const auto C = static_cast<int>(image.size(2));
  PG_CHECK((C == 1 || C == 3) && image.is_row_major(), "image " + shape_text(image));
  std::string png;
  const auto append = [](void* out, void* data, int size) {
    static_cast<std::string*>(out)->append(static_cast<const char*>(data), std::size_t(size));
  };
  if (!stbi_write_png_to_func(append, &png, W, H, C, image.data(), C * W)) throw std::bad_alloc();
  return png;
}

void write_png(const std::filesystem::path& path, View<const std::uint8_t, 3> image) {
  const std::string png = encode_png(image);
  std::ofstream file(path, std::ios::binary);
  if (!(file << png).flush()) throw std::runtime_error(path.string() + ": cannot be written");
}

}  // namespace paligemma
