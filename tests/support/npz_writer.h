// Writing .npy and .npz files for tests, without NumPy and without libzip: valid ones, and any lie
// that a header can tell.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/view.h"

namespace paligemma::test {

template <class Number>
std::string bytes_of(Number number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

// A .npy file of version 1, or 2, with this header in front of these bytes.
inline std::string npy_with(std::string_view header, std::string_view data, char version = 1) {
  std::string file = std::string("\x93NUMPY") + version + '\0';
  const auto length = static_cast<std::uint32_t>(header.size());
  file += bytes_of(length).substr(0, version == 1 ? 2 : 4);
  return file.append(header).append(data);
}

inline std::string npy_header(std::string_view dtype, std::span<const Index> shape) {
  std::string sizes;
  for (Index size : shape) sizes += std::to_string(size) + ", ";
  return "{'descr': '" + std::string(dtype) + "', 'fortran_order': False, 'shape': (" + sizes +
         "), }\n";
}

inline std::string npy_of(std::span<const Index> shape, std::span<const float> numbers) {
  const std::string_view data(reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes());
  return npy_with(npy_header("<f4", shape), data);
}

inline std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = 0xffff'ffffu;
  for (char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb8'8320u : 0);
  }
  return ~crc;
}

struct ZipEntry {
  std::string name, bytes;
  std::uint32_t claimed_size = static_cast<std::uint32_t>(bytes.size());
  std::uint32_t checksum = crc32(bytes);
};

// A zip archive of entries that are stored as they are (not packed).
inline std::string zip_of(const std::vector<ZipEntry>& entries) {
  using u16 = std::uint16_t;
  using u32 = std::uint32_t;
  std::string archive, directory;
  for (const ZipEntry& entry : entries) {
    const auto begin = static_cast<u32>(archive.size());
    // Needs version 2.0, no flags, stored; 1980-01-01; then sizes and the length of the name.
    const std::string common = bytes_of(u16{20}) + bytes_of(u16{0}) + bytes_of(u16{0}) +
                               bytes_of(u16{0}) + bytes_of(u16{33}) + bytes_of(entry.checksum) +
                               bytes_of(static_cast<u32>(entry.bytes.size())) +
                               bytes_of(entry.claimed_size) +
                               bytes_of(static_cast<u16>(entry.name.size())) + bytes_of(u16{0});
    archive += "PK\3\4" + common + entry.name + entry.bytes;
    directory += "PK\1\2" + bytes_of(u16{20}) + common + std::string(10, '\0') + bytes_of(begin) +
                 entry.name;
  }
  const auto count = static_cast<u16>(entries.size());
  const auto directory_at = static_cast<u32>(archive.size());
  return archive + directory + std::string("PK\5\6\0\0\0\0", 8) + bytes_of(count) +
         bytes_of(count) + bytes_of(static_cast<u32>(directory.size())) + bytes_of(directory_at) +
         bytes_of(u16{0});
}

struct NpzArray {
  std::vector<Index> shape;
  std::vector<float> numbers;
};

inline std::string npz_of(const std::map<std::string, NpzArray>& arrays) {
  std::vector<ZipEntry> entries;
  for (const auto& [name, array] : arrays) {
    entries.push_back({name + ".npy", npy_of(array.shape, array.numbers)});
  }
  return zip_of(entries);
}

}  // namespace paligemma::test
