#include "tensor/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tensor/errors.h"

namespace paligemma {

MappedFile::MappedFile(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) throw NotFoundError(path.string() + ": no such file");
  if (file < 0) throw ModelFileError(path.string() + ": " + std::strerror(errno));

  struct stat status {};
  void* data = MAP_FAILED;
  std::size_t size = 0;
  if (::fstat(file, &status) == 0 && S_ISREG(status.st_mode)) {
    size = static_cast<std::size_t>(status.st_size);
    if (size > 0) data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  }
  ::close(file);
  if (!S_ISREG(status.st_mode)) throw ModelFileError(path.string() + ": not a file");
  if (size == 0) throw ModelFileError(path.string() + ": the file is empty");
  if (data == MAP_FAILED) throw ModelFileError(path.string() + ": " + std::strerror(errno));
  bytes_ = {static_cast<const std::byte*>(data), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

void touch_pages(std::span<const std::byte> bytes) {
  constexpr std::size_t kPage = 4096;
  const auto pages = static_cast<std::ptrdiff_t>((bytes.size() + kPage - 1) / kPage);
#pragma omp parallel for schedule(static) if (pages > 1024)
  for (std::ptrdiff_t page = 0; page < pages; ++page) {
    static_cast<void>(
        *static_cast<const volatile std::byte*>(&bytes[static_cast<std::size_t>(page) * kPage]));
  }
}

}  // namespace paligemma
