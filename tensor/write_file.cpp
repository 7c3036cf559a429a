#include "tensor/write_file.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>
#include <string>

#include "tensor/paths.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

// A link stays one, and what it leads to is written.
fs::path behind_links(fs::path path) {
  constexpr int kMostLinks = 40;  // as Linux has it
  std::error_code error;
  for (int i = 0; i < kMostLinks && fs::is_symlink(path, error); ++i) {
    path = path.parent_path() / fs::read_symlink(path, error);
  }
  return path;
}

bool is_pipe_or_device(const fs::path& path) { return is_there(path) && !is_file(path); }

bool write(const fs::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  return !file.fail();
}

// Those of the file that is replaced, or those that any new file gets.
mode_t permissions_of(const fs::path& path) {
  struct stat there;
  if (stat(path.c_str(), &there) == 0) return there.st_mode & 07777;
  const mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

bool replace(const fs::path& path, std::string_view bytes) {
  std::string part = (path.parent_path() / ".paligemma.XXXXXX").string();
  const int file = mkstemp(part.data());
  if (file < 0) return false;
  close(file);
  const bool done = write(part, bytes) && chmod(part.c_str(), permissions_of(path)) == 0 &&
                    rename(part.c_str(), path.c_str()) == 0;
  if (!done) unlink(part.c_str());
  return done;
}

[[noreturn]] void fail(const fs::path& path) {
  throw std::runtime_error(path.string() + ": cannot be written");
}

}  // namespace

void write_file(const fs::path& path, std::string_view bytes) {
  check_writable(path);
  const fs::path place = behind_links(path);
  if (!(is_pipe_or_device(place) ? write(place, bytes) : replace(place, bytes))) fail(path);
}

void check_writable(const fs::path& path) {
  const fs::path place = behind_links(path);
  const fs::path folder = place.has_parent_path() ? place.parent_path() : ".";
  std::error_code error;
  const fs::file_type kind = fs::status(place, error).type();
  const bool is_writable = access(place.c_str(), W_OK) == 0;
  const bool may_be_made = is_folder(folder) && access(folder.c_str(), W_OK) == 0 &&
                           (kind == fs::file_type::not_found || is_writable);
  const bool fits = is_pipe_or_device(place) ? is_writable : may_be_made && place.has_filename();
  if (!fits || kind == fs::file_type::directory) fail(path);
}

}  // namespace paligemma
