// HDF5 as far as Keras writes it: a file of named datasets, mapped into memory. Only what describes them is read.
//
//   layers/dense/vars/0    a dataset: numbers, row-major, little-endian, in one stretch of the file
//
// What describes them is read by libhdf5, in a module that is loaded when the first such file is opened
// (hdf5_module.h), so that no other model waits for it or needs it. A child process does that: on a damaged file
// libhdf5 may write where it must not, or never come back (docs/paligemma/keras_preset.md). What it says is
// not trusted either: every offset and length is checked against the size of the file.
//
// Read next: tensor/safetensors.h.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "tensor/mapped_file.h"
#include "tensor/safetensors.h"

namespace paligemma {

class Hdf5File {
 public:
  // Throws NotFoundError or ModelFileError: no HDF5 file, damaged, locked by a program that writes it, or with a
  // dataset of a type that tensor/safetensors.h does not know, or in pieces. Links are not followed.
  explicit Hdf5File(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::span<const std::byte> bytes() const { return file_.bytes(); }
  const std::map<std::string, TensorEntry>& datasets() const { return datasets_; }

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::map<std::string, TensorEntry> datasets_;
};

// What is said of a file of these bytes, as JSON; `where` begins the message of a ModelFileError.
//
//   {"datasets": [{"path": "layers/dense/vars/0", "dtype": "F32", "shape": [6, 10], "offset": 2048, "bytes": 240}]}
//   {"problem": "truncated file: eof = 800, sblock->base_addr = 0, stored_eof = 7968"}
std::map<std::string, TensorEntry> parse_datasets(std::string_view said,
                                                  std::span<const std::byte> bytes,
                                                  const std::string& where);

}  // namespace paligemma
