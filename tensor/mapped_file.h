// MappedFile: the bytes of a file, seen where the system keeps them. Nothing is read until it is
// looked at, and nothing is copied.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace paligemma {

class MappedFile {
 public:
  // Throws NotFoundError if there is no such file, ModelFileError if it cannot be read.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

// Looks at every page of mapped bytes, with all threads, so that nobody waits for one later.
void touch_pages(std::span<const std::byte> bytes);

}  // namespace paligemma
