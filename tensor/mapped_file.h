// MappedFile: the bytes of a file, seen where the system keeps them. Nothing is read until it is
// looked at, and nothing is copied.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace paligemma {

class MappedFile {
 public:
  // Throws NotFoundError if nothing is there, ModelFileError if it cannot be read or is no file: a pipe would
  // make its reader wait, and a device may never end.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }

 private:
  std::span<const std::byte> bytes_;
};

// Looks at every page of mapped bytes, with all threads, so that nobody waits for one later.
void touch_pages(std::span<const std::byte> bytes);

}  // namespace paligemma
