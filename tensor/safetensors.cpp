#include "tensor/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/paths.h"
#include "tensor/what_it_is.h"

namespace paligemma {
namespace {

static_assert(std::endian::native == std::endian::little && sizeof(std::size_t) == 8,
              "numbers are read as they lie in the file, which may be larger than 4 GiB");

struct DTypeRow {
  DType dtype;
  std::string_view in_file;
  std::string_view name;
  Index size;
};

constexpr std::array<DTypeRow, 15> kDTypes{{{DType::f64, "F64", "f64", 8},
                                            {DType::f32, "F32", "f32", 4},
                                            {DType::f16, "F16", "f16", 2},
                                            {DType::bf16, "BF16", "bf16", 2},
                                            {DType::f8_e5m2, "F8_E5M2", "f8_e5m2", 1},
                                            {DType::f8_e4m3, "F8_E4M3", "f8_e4m3", 1},
                                            {DType::i64, "I64", "i64", 8},
                                            {DType::i32, "I32", "i32", 4},
                                            {DType::i16, "I16", "i16", 2},
                                            {DType::i8, "I8", "i8", 1},
                                            {DType::u64, "U64", "u64", 8},
                                            {DType::u32, "U32", "u32", 4},
                                            {DType::u16, "U16", "u16", 2},
                                            {DType::u8, "U8", "u8", 1},
                                            {DType::boolean, "BOOL", "bool", 1}}};

const DTypeRow& row_of(DType dtype) {
  return *std::find_if(kDTypes.begin(), kDTypes.end(),
                       [&](const DTypeRow& row) { return row.dtype == dtype; });
}

// The JSON text between the length and the numbers.
std::string_view header_of(std::span<const std::byte> bytes, const std::string& where) {
  std::uint64_t length = 0;
  if (bytes.size() < sizeof length) throw ModelFileError(where + ": shorter than its own header");
  std::memcpy(&length, bytes.data(), sizeof length);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto begin = text.find_first_not_of(" \t\r\n", sizeof length);
  if (begin == text.npos || text[begin] != '{') {
    const std::string found = what_it_is(text);
    if (!found.empty()) throw ModelFileError(where + ": not safetensors: looks like " + found);
  }
  if (length > bytes.size() - sizeof length) {
    throw ModelFileError(where + ": the header claims " + std::to_string(length) +
                         " bytes, the file has " + std::to_string(bytes.size()));
  }
  return text.substr(sizeof length, static_cast<std::size_t>(length));
}

TensorEntry entry_of(const JsonFields& header, const std::string& name,
                     std::span<const std::byte> data, const std::string& where) {
  constexpr Index kMax = std::numeric_limits<Index>::max();
  const auto need = [&](bool is_there) {
    if (!is_there) throw ModelFileError(where + ": needs dtype, shape and two data_offsets");
  };
  need(header.is_object(name));
  const JsonFields fields = header.object(name, where);
  need(fields.is_text("dtype") && fields.is_list("shape") && fields.is_list("data_offsets"));
  const auto offsets = fields.whole_numbers("data_offsets", kMax);
  need(offsets.size() == 2);
  const std::string type = fields.text("dtype");
  const auto dtype = dtype_named(type);
  if (!dtype) throw ModelFileError(where + ": unknown dtype \"" + type + "\"");

  // Step by step so that no product overflows, in whatever order sizes are multiplied: an axis of 0 hides none.
  TensorEntry entry{*dtype, {}, {}};
  Index product = size_of(*dtype);
  for (const Index axis : fields.whole_numbers("shape", kMax)) {
    entry.shape.push_back(axis);
    const Index length = std::max(axis, Index{1});
    if (product > kMax / length) {
      throw ModelFileError(where + ": the shape " + shape_text(entry.shape) + " overflows");
    }
    product *= length;
  }
  const Index size = entry.count() * size_of(*dtype);

  const Index begin = offsets[0], end = offsets[1];
  if (begin > end || end > static_cast<Index>(data.size())) {
    throw ModelFileError(where + ": bytes " + std::to_string(begin) + " to " + std::to_string(end) +
                         " of " + std::to_string(data.size()));
  }
  if (end - begin != size) {
    throw ModelFileError(where + ": " + type + " " + shape_text(entry.shape) + " takes " +
                         std::to_string(size) + " bytes, the header gives it " +
                         std::to_string(end - begin));
  }
  entry.bytes = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size));
  return entry;
}

// Tensors lie one after another, from the first byte to the last.
void check_layout(const std::map<std::string, TensorEntry>& tensors,
                  std::span<const std::byte> data, const std::string& where) {
  std::vector<std::pair<const std::byte*, const std::byte*>> pieces;
  for (const auto& [name, entry] : tensors) {
    if (!entry.bytes.empty()) {
      pieces.emplace_back(entry.bytes.data(), entry.bytes.data() + entry.bytes.size());
    }
  }
  std::sort(pieces.begin(), pieces.end());
  const std::byte* next = data.data();
  for (const auto& [begin, end] : pieces) {
    if (begin < next) throw ModelFileError(where + ": tensors overlap");
    if (begin > next) throw ModelFileError(where + ": bytes between tensors belong to none");
    next = end;
  }
  if (next != data.data() + data.size()) {
    throw ModelFileError(where + ": bytes after the last tensor belong to none");
  }
}

}  // namespace

Index size_of(DType dtype) { return row_of(dtype).size; }

std::string_view name_of(DType dtype) { return row_of(dtype).name; }

std::optional<DType> dtype_named(std::string_view name) {
  for (const DTypeRow& row : kDTypes) {
    if (row.in_file == name) return row.dtype;
  }
  return std::nullopt;
}

Index TensorEntry::count() const {
  return std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>());
}

WeightFormat weight_format_of(const TensorEntry& entry, const std::string& where) {
  switch (entry.dtype) {
    case DType::f32:
      return WeightFormat::f32;
    case DType::bf16:
      return WeightFormat::bf16;
    case DType::f16:
      return WeightFormat::f16;
    default:
      throw ModelFileError(where + " is " + std::string(name_of(entry.dtype)) +
                           ", weights are f32, bf16 or f16");
  }
}

std::string shape_text(std::span<const Index> shape) {
  std::string text;
  for (Index size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

SafetensorsFile::SafetensorsFile(std::filesystem::path path)
    : path_(std::move(path)), file_(path_) {
  const std::string where = path_.string();
  const std::string_view header = header_of(file_.bytes(), where);
  const auto data = file_.bytes().subspan(sizeof(std::uint64_t) + header.size());

  const JsonFields fields(header, where);
  for (const std::string& name : fields.names()) {
    if (name != "__metadata__") {
      tensors_.emplace(name, entry_of(fields, name, data, where + ": tensor " + name));
      continue;
    }
    if (fields.is_null(name)) continue;
    const JsonFields metadata = fields.object(name);
    for (const std::string& key : metadata.names()) metadata_[key] = metadata.text(key);
  }
  check_layout(tensors_, data, where);
}

std::filesystem::path checkpoint_folder(const std::filesystem::path& path) {
  if (!is_there(path)) throw NotFoundError(path.string() + ": no such file or folder");
  if (is_folder(path)) return path;
  std::filesystem::path folder =
      path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (is_file(path)) {
    const std::string found = what_it_is(MappedFile(path).text());
    const bool is_of_preset =  // of Keras
        found.starts_with("an HDF5 file") && is_there(folder / "config.json");
    if (!found.empty() && found != "safetensors" && !is_of_preset) {
      throw ModelFileError(path.string() + ": not safetensors: looks like " + found);
    }
  }
  return folder;
}

}  // namespace paligemma
