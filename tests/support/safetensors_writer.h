// Writing safetensors files for tests: valid ones, sparse ones, and any lie that a header can tell.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma::test {

template <class Number>
inline constexpr const char* kDTypeInFile = nullptr;
template <>
inline constexpr const char* kDTypeInFile<double> = "F64";
template <>
inline constexpr const char* kDTypeInFile<float> = "F32";
template <>
inline constexpr const char* kDTypeInFile<bf16> = "BF16";
template <>
inline constexpr const char* kDTypeInFile<f16> = "F16";
template <>
inline constexpr const char* kDTypeInFile<std::int64_t> = "I64";
template <>
inline constexpr const char* kDTypeInFile<std::int8_t> = "I8";

// The file that says `length` and holds `header` and `data`, whether they fit together or not.
inline void write_safetensors(const std::filesystem::path& path, std::uint64_t length,
                              std::string_view header, std::string_view data) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file << header << data;
  if (!file.flush()) throw std::runtime_error(path.string() + ": cannot be written");
}

// Tensors one behind another, as the format asks.
class SafetensorsWriter {
 public:
  template <class Number>
  SafetensorsWriter& add(const std::string& name, const std::vector<Index>& shape,
                         std::span<const Number> numbers) {
    data_.resize(static_cast<std::size_t>(size_));
    data_.append(reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes());
    enter(name, kDTypeInFile<Number>, shape, static_cast<Index>(numbers.size_bytes()));
    return *this;
  }

  // Zeros. At the end of a file they take no room on the disk.
  template <class Number>
  SafetensorsWriter& add_zeros(const std::string& name, const std::vector<Index>& shape) {
    Index bytes = sizeof(Number);
    for (Index axis : shape) bytes *= axis;
    enter(name, kDTypeInFile<Number>, shape, bytes);
    return *this;
  }

  SafetensorsWriter& add_metadata(const std::string& key, const std::string& value) {
    header_["__metadata__"][key] = value;
    return *this;
  }

  // The first number lies `offset` bytes behind a multiple of 8.
  void write(const std::filesystem::path& path, std::size_t offset = 0) const {
    std::string header = header_.dump();
    while (header.size() % 8 != offset) header += ' ';
    write_safetensors(path, header.size(), header, data_);
    std::filesystem::resize_file(
        path, sizeof(std::uint64_t) + header.size() + static_cast<std::uint64_t>(size_));
  }

 private:
  void enter(const std::string& name, const char* dtype, const std::vector<Index>& shape,
             Index bytes) {
    header_[name] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {size_, size_ + bytes}}};
    size_ += bytes;
  }

  nlohmann::json header_ = nlohmann::json::object();
  std::string data_;
  Index size_ = 0;  // of all tensors; data_ ends where only zeros follow
};

}  // namespace paligemma::test
