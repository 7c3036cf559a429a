#include "tensor/npz.h"

#include <zip.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include "tensor/errors.h"
#include "tensor/numbers.h"
#include "tensor/utf8.h"
#include "tensor/what_it_is.h"

namespace paligemma {
namespace {

using namespace std::string_view_literals;

static_assert(std::endian::native == std::endian::little, "numbers are read as they lie");

constexpr std::uint64_t kMaxArrayBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kMaxRatio =
    32;  // of an array to the whole file; packed weights stay below 2

// What a file says, short enough for a line of text.
std::string beginning(std::string_view text) { return printable(text.substr(0, 40)); }

struct NpyHeader {
  std::optional<std::string_view> dtype;
  std::optional<bool> is_fortran;
  std::optional<std::vector<Index>> shape;
};

// Reads the Python literal of a header from its front.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, const std::string& where) : rest_(text), where_(where) {}

  NpyHeader header() {
    NpyHeader header;
    expect("{");
    while (!take("}")) {
      const std::string_view key = quoted();
      expect(":");
      if (key == "descr" && !header.dtype) {
        header.dtype = quoted();
      } else if (key == "fortran_order" && !header.is_fortran) {
        header.is_fortran = take("True");
        if (!*header.is_fortran) expect("False");
      } else if (key == "shape" && !header.shape) {
        header.shape = shape();
      } else {
        fail();
      }
      if (!take(",") && !rest_.starts_with('}')) fail();
    }
    skip_blanks();
    if (!rest_.empty()) fail();
    if (!header.dtype || !header.is_fortran || !header.shape) {
      throw ModelFileError(where_ + ": the header needs descr, fortran_order and shape");
    }
    return header;
  }

 private:
  void skip_blanks() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n"), rest_.size()));
  }

  // Takes `word` off the front, behind blanks, if it stands there.
  bool take(std::string_view word) {
    skip_blanks();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  void expect(std::string_view word) {
    if (!take(word)) fail();
  }

  std::string_view quoted() {
    expect("'");
    const auto end = rest_.find('\'');
    if (end == rest_.npos) fail();
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return text;
  }

  // "(2, 3)", "(2,)" or "()"
  std::vector<Index> shape() {
    std::vector<Index> sizes;
    expect("(");
    while (!take(")")) {
      sizes.push_back(size());
      if (!take(",") && !rest_.starts_with(')')) fail();
    }
    return sizes;
  }

  Index size() {
    skip_blanks();
    constexpr std::size_t kMaxDigits = 18;  // so that it fits an Index
    const auto digits = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    if (digits == 0 || digits > kMaxDigits) fail();
    Index number = 0;
    for (char c : rest_.substr(0, digits)) number = 10 * number + (c - '0');
    rest_.remove_prefix(digits);
    return number;
  }

  [[noreturn]] void fail() const {
    throw ModelFileError(where_ + ": the header is not understood at \"" + beginning(rest_) + "\"");
  }

  std::string_view rest_;
  const std::string& where_;
};

template <class Stored>
std::vector<float> as_floats(std::string_view bytes) {
  std::vector<float> numbers;
  numbers.reserve(bytes.size() / sizeof(Stored));
  for (; !bytes.empty(); bytes.remove_prefix(sizeof(Stored))) {
    Stored number;
    std::memcpy(&number, bytes.data(), sizeof number);
    if constexpr (std::is_same_v<Stored, double>) {
      numbers.push_back(static_cast<float>(number));
    } else {
      numbers.push_back(widen(number));
    }
  }
  return numbers;
}

// The whole of an entry, unpacked; libzip compares it with its checksum at the end.
std::vector<std::byte> unpacked(zip* archive, std::uint64_t archive_bytes, std::uint64_t index,
                                const std::string& where) {
  zip_stat_t claim;
  if (zip_stat_index(archive, index, 0, &claim) != 0 || (claim.valid & ZIP_STAT_SIZE) == 0) {
    throw ModelFileError(where + ": " + zip_strerror(archive));
  }
  if (claim.size > kMaxArrayBytes) {
    throw ModelFileError(where + ": claims " + std::to_string(claim.size) +
                         " bytes; more than 64 MiB are not read");
  }
  if (claim.size / kMaxRatio > archive_bytes) {
    throw ModelFileError(where + ": claims " + std::to_string(claim.size) + " bytes, more than " +
                         std::to_string(kMaxRatio) + " times those of the whole file");
  }
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen_index(archive, index, 0),
                                                               zip_fclose);
  if (!file) throw ModelFileError(where + ": " + zip_strerror(archive));

  // The claim may still be a lie, both ways.
  std::vector<std::byte> bytes;
  std::array<std::byte, 1 << 16> block;
  bytes.reserve(claim.size + block.size());
  for (;;) {
    const zip_int64_t n = zip_fread(file.get(), block.data(), block.size());
    if (n < 0) throw ModelFileError(where + ": " + zip_file_strerror(file.get()));
    if (n == 0) break;
    bytes.insert(bytes.end(), block.data(), block.data() + n);
    if (bytes.size() > claim.size) break;
  }
  if (bytes.size() != claim.size) {
    throw ModelFileError(where + ": does not have the " + std::to_string(claim.size) +
                         " bytes that it claims");
  }
  return bytes;
}

}  // namespace

NpyArray parse_npy(std::span<const std::byte> file, const std::string& name) {
  const std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
  constexpr std::string_view kMagic = "\x93NUMPY"sv;
  if (!bytes.starts_with(kMagic)) throw ModelFileError(name + ": not a .npy file");
  const int version = bytes.size() > 6 ? bytes[6] : 0;
  if (version != 1 && version != 2) {
    throw ModelFileError(name + ": only versions 1 and 2 of .npy are read");
  }

  // The header's length is a claim as well.
  const std::size_t length_bytes = version == 1 ? 2 : 4, header_at = 8 + length_bytes;
  std::uint32_t length = 0;
  if (bytes.size() < header_at) throw ModelFileError(name + ": shorter than its own header");
  std::memcpy(&length, bytes.data() + 8, length_bytes);
  if (length > bytes.size() - header_at) {
    throw ModelFileError(name + ": shorter than its own header");
  }
  const NpyHeader header = HeaderReader(bytes.substr(header_at, length), name).header();
  const std::string_view numbers = bytes.substr(header_at + length);

  if (*header.is_fortran) {
    throw ModelFileError(name + ": in Fortran order; save it as numpy.ascontiguousarray");
  }
  const std::string_view dtype = *header.dtype;
  const Index size = dtype == "<f2" ? 2 : dtype == "<f4" ? 4 : dtype == "<f8" ? 8 : 0;
  if (size == 0) {
    throw ModelFileError(name + ": dtype " + beginning(dtype) + "; only <f2, <f4 and <f8 are read");
  }
  const auto left = static_cast<Index>(numbers.size());
  Index expected = size;
  bool is_empty = false;  // an axis of 0 hides no overflow
  for (Index axis : *header.shape) {
    if (expected > std::numeric_limits<Index>::max() / std::max(axis, Index{1})) {
      throw ModelFileError(name + ": the shape overflows");
    }
    expected *= std::max(axis, Index{1});
    is_empty |= axis == 0;
  }
  if (is_empty) expected = 0;
  if (expected != left) {
    throw ModelFileError(name + ": its shape takes " + std::to_string(expected) +
                         " bytes, the file has " + std::to_string(left));
  }
  return {*header.shape, size == 2   ? as_floats<f16>(numbers)
                         : size == 4 ? as_floats<float>(numbers)
                                     : as_floats<double>(numbers)};
}

NpzFile::NpzFile(std::filesystem::path path)
    : path_(std::move(path)), file_(path_), archive_(nullptr, zip_discard) {
  const auto refuse = [&](zip_error_t& error) {
    if (zip_error_code_zip(&error) == ZIP_ER_MEMORY) throw std::bad_alloc();
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    const bool is_zip = file_.text().starts_with("PK");
    const std::string found = is_zip ? "" : what_it_is(file_.text());
    throw ModelFileError(path_.string() + ": not a zip archive that can be read: " +
                         (found.empty() ? reason : "looks like " + found));
  };
  zip_error_t error;
  zip_error_init(&error);
  const auto bytes = file_.bytes();
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  if (source == nullptr) refuse(error);
  archive_.reset(zip_open_from_source(source, ZIP_RDONLY, &error));
  if (!archive_) {
    zip_source_free(source);
    refuse(error);
  }

  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const auto index = static_cast<zip_uint64_t>(i);
    const char* raw = zip_get_name(archive_.get(), index, ZIP_FL_ENC_RAW);
    std::string name = raw ? raw : "";
    if (!name.ends_with(".npy")) continue;
    name.resize(name.size() - 4);
    if (!arrays_.emplace(name, index).second) {
      throw ModelFileError(path_.string() + ": holds the array " + beginning(name) + " twice");
    }
  }
}

NpyArray NpzFile::read(const std::string& name) {
  const std::string where = path_.string() + ": array " + name;
  const auto found = arrays_.find(name);
  if (found == arrays_.end()) throw ModelFileError(where + " is missing");
  const auto bytes = unpacked(archive_.get(), file_.bytes().size(), found->second, where);
  return parse_npy(bytes, where);
}

}  // namespace paligemma
