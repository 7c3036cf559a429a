#include "cli/lines.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "cli/options.h"

namespace paligemma::cli {

Lines::Lines(const std::string& path)
    : file_(path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  struct stat found {};
  const bool is_folder = file_ >= 0 && ::fstat(file_, &found) == 0 && S_ISDIR(found.st_mode);
  const int error = is_folder ? EISDIR : errno;
  if (file_ >= 0 && stop_ >= 0 && !is_folder) return;
  if (file_ >= 0) ::close(file_);
  if (stop_ >= 0) ::close(stop_);
  throw UsageError("--jsonl " + path + ": cannot be read: " + std::strerror(error));
}

Lines::~Lines() {
  ::close(file_);
  ::close(stop_);
}

void Lines::stop() { ::eventfd_write(stop_, 1); }

bool Lines::fill() {
  pollfd waits[] = {{file_, POLLIN, 0}, {stop_, POLLIN, 0}};
  while (::poll(waits, 2, -1) < 0) {
    if (errno != EINTR) throw std::runtime_error(std::string("poll: ") + std::strerror(errno));
  }
  if (waits[1].revents != 0) return false;
  buffer_.resize(1 << 16);
  ssize_t count = 0;
  while ((count = ::read(file_, buffer_.data(), buffer_.size())) < 0 && errno == EINTR) {
  }
  if (count < 0)
    throw std::runtime_error(std::string("the lines cannot be read: ") + std::strerror(errno));
  buffer_.resize(static_cast<std::size_t>(count));
  at_ = 0;
  return count > 0;
}

std::optional<std::string> Lines::next() {
  std::string line;
  bool is_there = false;
  while (at_ < buffer_.size() || fill()) {
    is_there = true;
    const std::size_t end = buffer_.find('\n', at_), room = kLongest + 1 - line.size();
    const bool is_whole = end != buffer_.npos;
    const std::size_t count = (is_whole ? end : buffer_.size()) - at_;
    line.append(buffer_, at_, std::min(count, room));
    at_ += count + (is_whole ? 1 : 0);
    if (is_whole) break;
  }
  if (!is_there) return std::nullopt;
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

}  // namespace paligemma::cli
