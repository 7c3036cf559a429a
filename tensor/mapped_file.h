// MappedFile: the bytes of a file, seen where the system keeps them. Nothing is read until it is
// looked at, and nothing is copied.
//
// Bytes that are gone by then, since somebody has cut the file short or its disk fails, are a SIGBUS. A
// program that handles it asks file_at() which file it was.
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

// The path of the file that is mapped at an address, control characters as \x1b, or null. May be called by
// a signal's handler.
const char* file_at(const void* address);

// Looks at every page of mapped bytes, with all threads, so that nobody waits for one later.
void touch_pages(std::span<const std::byte> bytes);

// Has mapped bytes fetched from the disk, and does not wait for them.
void fetch_pages(std::span<const std::byte> bytes);

// Of memory that has not been written: where the system has large pages, the first write of each takes less
// than those of the small ones together, which is more than the writing itself.
void ask_for_large_pages(std::span<std::byte> bytes);

}  // namespace paligemma
