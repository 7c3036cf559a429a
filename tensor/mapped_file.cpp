#include "tensor/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "tensor/errors.h"

namespace paligemma {
namespace {

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  return S_ISSOCK(mode) ? "a socket" : "a device";
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    const char* reason = errno == ENOENT ? "no such file" : std::strerror(errno);
    throw NotFoundError(path.string() + ": " + reason);
  }
  if (!S_ISREG(status.st_mode)) {
    throw ModelFileError(path.string() + ": " + kind_of(status.st_mode) + ", not a file");
  }
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) throw ModelFileError(path.string() + ": " + std::strerror(errno));

  void* data = MAP_FAILED;
  int error = ::fstat(file, &status) == 0 ? 0 : errno;
  const auto size = static_cast<std::size_t>(status.st_size);
  if (error == 0 && size > 0) {
    data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED) error = errno;
  }
  ::close(file);
  if (error == ENOMEM) throw std::bad_alloc();
  if (error != 0) throw ModelFileError(path.string() + ": " + std::strerror(error));
  if (size == 0) throw ModelFileError(path.string() + ": the file is empty");
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
