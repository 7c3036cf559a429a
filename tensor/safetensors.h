// safetensors: a file of named tensors, mapped into memory. Only the header is read.
//
//   8 bytes    the length of the header, little-endian
//   header     JSON: {"name": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}, ...,
//              "__metadata__": {"any": "text"}}
//   the rest   the numbers, row-major, little-endian, one tensor after another without a hole
//
// The file is not trusted: every length and offset is checked against the size of the file before
// it is used, and what does not fit is a ModelFileError that names the tensor.
//
// Read next: tensor/npz.h.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/mapped_file.h"
#include "tensor/view.h"
#include "tensor/weight_format.h"

namespace paligemma {

// What a file says of its numbers. How weights are kept is a WeightFormat (tensor/weight_format.h).
enum class DType {
  f64,
  f32,
  f16,
  bf16,
  f8_e5m2,
  f8_e4m3,
  i64,
  i32,
  i16,
  i8,
  u64,
  u32,
  u16,
  u8,
  boolean
};

Index size_of(DType dtype);                               // bytes of one number
std::string_view name_of(DType dtype);                    // "bf16"
std::optional<DType> dtype_named(std::string_view name);  // from a header: "BF16"

struct TensorEntry {
  DType dtype;
  std::vector<Index> shape;
  std::span<const std::byte> bytes;  // into the mapped file

  Index count() const;
};

// Of weights that a file holds as numbers. Another type is a ModelFileError that begins with `where`.
WeightFormat weight_format_of(const TensorEntry& entry, const std::string& where);

std::string shape_text(std::span<const Index> shape);  // "[2, 3]"

class SafetensorsFile {
 public:
  explicit SafetensorsFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::span<const std::byte> bytes() const { return file_.bytes(); }  // header and all
  const std::map<std::string, TensorEntry>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::map<std::string, TensorEntry> tensors_;
  std::map<std::string, std::string> metadata_;
};

// The folder of a checkpoint that may be given by one of its files. Throws NotFoundError.
std::filesystem::path checkpoint_folder(const std::filesystem::path& path);

}  // namespace paligemma
