#include "cli/npy_file.h"

#include <cstdint>
#include <string>

#include "tensor/write_file.h"

namespace paligemma::cli {

// Version 1.0: magic, the length of the header, a Python dict padded to a multiple of 64 bytes, the
// numbers.
void write_npy(const std::filesystem::path& path, std::span<const float> numbers,
               std::span<const Index> shape) {
  std::string sizes;
  for (Index size : shape) sizes += std::to_string(size) + ",";
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + sizes + "), }";
  constexpr std::size_t kBefore = 10;  // magic, version, length
  header.append(63 - (kBefore + header.size()) % 64, ' ');
  header += '\n';

  const auto length = static_cast<std::uint16_t>(header.size());
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(length & 0xff);
  file += static_cast<char>(length >> 8);
  file += header;
  file.append(reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes());
  write_file(path, file);
}

}  // namespace paligemma::cli
