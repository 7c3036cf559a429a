// The lines of a file or of standard input as they come, each within a limit.
#pragma once

#include <optional>
#include <string>

namespace paligemma::cli {

class Lines {
 public:
  // "-" is standard input. Throws UsageError for what cannot be read.
  explicit Lines(const std::string& path);
  ~Lines();
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  // Without its end, "\n" or "\r\n"; nothing behind the last one, or if nobody waits any more. Of a line longer than
  // kLongest what is beyond is dropped, so it has kLongest + 1 bytes.
  std::optional<std::string> next();
  static constexpr std::size_t kLongest = 1 << 20;

  // From another thread: next() waits no longer.
  void stop();

 private:
  bool fill();  // whether there are bytes

  int file_, stop_;
  std::string buffer_;
  std::size_t at_ = 0;
};

}  // namespace paligemma::cli
