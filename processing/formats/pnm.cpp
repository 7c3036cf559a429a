#include "processing/formats/pnm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

bool is_blank(std::size_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

// Numbers between blanks. A comment, from # to the end of its line, may stand anywhere, even within a
// number, which goes on behind it.
class Numbers {
 public:
  Numbers(Bytes file, const std::string& format) : file_(file), format_(format) {}

  std::size_t at() const { return at_; }

  // The next one, with the one blank behind it.
  std::size_t next() {
    std::size_t number = digit_of(behind_blanks());
    for (std::size_t digits = 1, byte; (byte = character()) != kNone && !is_blank(byte); ++digits) {
      if (digits == 10) {
        throw ImageError("the " + format_ + " has a number of more than ten digits");
      }
      number = 10 * number + digit_of(byte);
    }
    return number;
  }

  // The next one of one digit; there need be no blanks between those.
  std::size_t next_digit() { return digit_of(behind_blanks()); }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};

  std::size_t behind_blanks() {
    for (std::size_t byte;;) {
      if (byte = character(); byte == kNone) throw ImageError("the " + format_ + " is cut off");
      if (!is_blank(byte)) return byte;
    }
  }

  // The next one that stands in no comment.
  std::size_t character() {
    while (byte_at(file_, at_) == '#') {
      at_ = characters(file_).find_first_of("\n\r", at_);
      at_ = at_ == std::string_view::npos ? file_.size() : at_ + 1;
    }
    return at_ < file_.size() ? byte_at(file_, at_++) : kNone;
  }

  std::size_t digit_of(std::size_t byte) const {
    if (byte >= '0' && byte <= '9') return byte - '0';
    throw ImageError("looks like " + format_ + ", but something else stands where a number should");
  }

  Bytes file_;
  std::string format_;
  std::size_t at_ = 2;
};

struct Header {
  std::string format;
  bool is_plain, is_black_and_white;
  std::size_t channels, W = 0, H = 0, largest = 1, samples_at = 0;

  int bytes() const { return largest > 255 ? 2 : 1; }  // of a binary sample

  // At least, where it is plain: a digit a sample.
  std::size_t row_bytes() const {
    const std::size_t samples = W * channels;
    if (is_plain) return samples;
    return is_black_and_white ? (samples + 7) / 8 : samples * static_cast<std::size_t>(bytes());
  }
};

Header read_kind(Bytes file) {
  constexpr std::array kFormats{"PBM", "PGM", "PPM"};
  const std::size_t kind = byte_at(file, 1) - '1', behind = byte_at(file, 2);
  if (byte_at(file, 0) != 'P' || kind > 5 || !(is_blank(behind) || behind == '#')) {
    throw ImageError("not a picture of a known format");
  }
  return {.format = kFormats[kind % 3],
          .is_plain = kind < 3,
          .is_black_and_white = kind % 3 == 0,
          .channels = kind % 3 == 2 ? 3u : 1u};
}

// What each sample is of 255. A 1 of a PBM is black.
std::vector<std::uint8_t> stretched(const Header& header) {
  if (header.is_black_and_white) return {255, 0};
  const bool is_wide_grey = header.channels == 1 && header.largest > 255;
  std::vector<std::uint8_t> values;
  for (std::size_t sample = 0; sample <= header.largest; ++sample) {
    const double part = static_cast<double>(sample) / static_cast<double>(header.largest);
    const long value = is_wide_grey ? std::lrint(part * 65535) >> 8 : std::lrint(part * 255);
    values.push_back(static_cast<std::uint8_t>(value));
  }
  return values;
}

Header read_header(Bytes file, Numbers& numbers, Header header) {
  header.W = numbers.next();
  header.H = numbers.next();
  if (!header.is_black_and_white) header.largest = numbers.next();
  if (header.largest == 0 || header.largest > 65535) {
    throw ImageError("the " + header.format + "'s largest sample is " +
                     std::to_string(header.largest) + ", not 1 to 65535");
  }
  check_size(header.W, header.H);
  header.samples_at = numbers.at();
  if (file.size() < header.samples_at + header.H * header.row_bytes()) {
    throw ImageError("the " + header.format + " is cut off");
  }
  return header;
}

std::size_t plain_sample(const Header& header, Numbers& numbers) {
  const std::size_t sample = header.is_black_and_white ? numbers.next_digit() : numbers.next();
  if (sample <= header.largest) return sample;
  throw ImageError("the " + header.format + " has a sample of " + std::to_string(sample) +
                   ", above its largest");
}

// Sample i of row y.
std::size_t binary_sample(Bytes file, const Header& header, std::size_t y, std::size_t i) {
  const std::size_t row = header.samples_at + y * header.row_bytes();
  if (header.is_black_and_white) return byte_at(file, row + i / 8) >> (7 - i % 8) & 1;
  const int bytes = header.bytes();
  return std::min(big_endian(file, row + i * static_cast<std::size_t>(bytes), bytes),
                  header.largest);
}

}  // namespace

Picture decode_pnm(Bytes file) {
  const Header kind = read_kind(file);
  Numbers numbers(file, kind.format);
  const Header header = read_header(file, numbers, kind);
  const std::vector<std::uint8_t> values = stretched(header);
  const auto W = static_cast<Index>(header.W), H = static_cast<Index>(header.H);
  Picture picture{Buffer<std::uint8_t, 3>({H, W, 3}, unwritten)};
  std::uint8_t* out = picture.pixels.view().data();
  for (std::size_t y = 0; y < header.H; ++y) {
    for (std::size_t i = 0; i < header.W * header.channels; ++i) {
      const std::size_t sample =
          header.is_plain ? plain_sample(header, numbers) : binary_sample(file, header, y, i);
      out = std::fill_n(out, 3 / header.channels, values[sample]);
    }
  }
  return picture;
}

}  // namespace paligemma::formats
