// npz: named arrays as NumPy saves them, a zip archive of .npy files.
//
//   "\x93NUMPY" 1 0   what it is, and the version: 1.0 or 2.0
//   length            of the header, little-endian: 2 bytes in version 1, 4 in version 2
//   header            a Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
//   the rest          the numbers, row-major, little-endian
//
// The file is not trusted: lengths are checked against what is there before they are used, and no array is
// unpacked beyond 64 MiB or 32 times the file, so that reading one never takes more than 100 times the
// file's own bytes of memory. What does not fit is a ModelFileError that names the array.
//
// Source: numpy.lib.format. The archive is opened by libzip. Read next: tensor/quantized_linear.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/mapped_file.h"
#include "tensor/view.h"

struct zip;  // libzip's archive

namespace paligemma {

struct NpyArray {
  std::vector<Index> shape;
  std::vector<float> numbers;  // stored as '<f2', '<f4' or '<f8'
};

// The bytes of one .npy file. `name` begins the message of an error.
NpyArray parse_npy(std::span<const std::byte> file, const std::string& name);

class NpzFile {
 public:
  explicit NpzFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  // Where in the archive each array is, by its name without ".npy".
  const std::map<std::string, std::uint64_t>& arrays() const { return arrays_; }

  NpyArray read(const std::string& name);  // an array that is not there is a ModelFileError

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::unique_ptr<zip, void (*)(zip*)> archive_;
  std::map<std::string, std::uint64_t> arrays_;
};

}  // namespace paligemma
