#include "tensor/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "tensor/errors.h"
#include "tensor/utf8.h"

namespace paligemma {
namespace {

// What is mapped now, for who asks in the middle of anything: no lock is taken, nothing is allocated.
struct Mapping {
  std::atomic<std::uintptr_t> begin{0}, end{0};  // begin is 0 where nothing is
  std::array<char, 512> path{};
};
std::array<Mapping, 256> mappings;  // files that find no room here have no name for a handler

void enter(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
  for (Mapping& mapping : mappings) {
    std::uintptr_t nothing = 0;
    if (!mapping.begin.compare_exchange_strong(nothing, begin)) continue;
    const std::string text = printable(path.string());
    mapping.path[text.copy(mapping.path.data(), mapping.path.size() - 1)] = '\0';
    mapping.end = begin + bytes.size();
    return;
  }
}

void leave(std::span<const std::byte> bytes) {
  for (Mapping& mapping : mappings) {
    if (mapping.begin != reinterpret_cast<std::uintptr_t>(bytes.data())) continue;
    mapping.end = 0;
    mapping.begin = 0;
    return;
  }
}

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
  enter(bytes_, path);
}

MappedFile::~MappedFile() {
  if (bytes_.empty()) return;
  leave(bytes_);
  ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

const char* file_at(const void* address) {
  constexpr std::uintptr_t kPage =
      4096;  // what lies behind the file's end in its last one is mapped too
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  for (const Mapping& mapping : mappings) {
    if (at >= mapping.begin && at < (mapping.end + kPage - 1) / kPage * kPage)
      return mapping.path.data();
  }
  return nullptr;
}

void touch_pages(std::span<const std::byte> bytes) {
  constexpr std::size_t kPage = 4096;
  const auto pages = static_cast<std::ptrdiff_t>((bytes.size() + kPage - 1) / kPage);
#pragma omp parallel for schedule(static) if (pages > 1024)
  for (std::ptrdiff_t page = 0; page < pages; ++page) {
    static_cast<void>(
        *static_cast<const volatile std::byte*>(&bytes[static_cast<std::size_t>(page) * kPage]));
  }
}

void fetch_pages(std::span<const std::byte> bytes) {
  constexpr std::uintptr_t kPage = 4096;
  const std::size_t before = reinterpret_cast<std::uintptr_t>(bytes.data()) % kPage;
  auto* const begin = const_cast<std::byte*>(bytes.data()) - before;
  ::madvise(begin, bytes.size() + before, MADV_WILLNEED);  // a wish
}

void ask_for_large_pages(std::span<std::byte> bytes) {
  constexpr std::size_t kPage = std::size_t{2} << 20;
  void* begin = bytes.data();
  std::size_t size = bytes.size();
  if (!std::align(kPage, kPage, begin, size)) return;
  ::madvise(begin, size / kPage * kPage, MADV_HUGEPAGE);  // a wish: without it all is the same
}

}  // namespace paligemma
