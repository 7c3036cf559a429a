#include "cli/answers_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#include "cli/options.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/mapped_file.h"
#include "tensor/paths.h"

namespace paligemma::cli {
namespace {

std::runtime_error failed(const std::filesystem::path& path, const std::string& why) {
  return std::runtime_error("--out " + path.string() + ": " + why);
}

}  // namespace

AnswersFile::AnswersFile(std::filesystem::path path)
    : path_(std::move(path)),
      file_(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (file_ < 0) throw failed(path_, std::string("cannot be written: ") + std::strerror(errno));
  try {
    if (!is_file(path_)) throw failed(path_, "is not a regular file");
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) throw failed(path_, "another run writes it");
    if (::lseek(file_, 0, SEEK_END) > 0) read(MappedFile(path_).text());
  } catch (...) {
    ::close(file_);
    throw;
  }
}

AnswersFile::~AnswersFile() { ::close(file_); }

void AnswersFile::read(std::string_view bytes) {
  const auto no_answers = [&](Index number) {
    return UsageError("--out " + path_.string() + ": its line " + std::to_string(number) +
                      " is no answer, so it is left as it is");
  };
  std::size_t begin = 0;
  Index number = 1;
  for (std::size_t end; (end = bytes.find('\n', begin)) != bytes.npos; begin = end + 1, ++number) {
    try {
      const JsonFields answer(bytes.substr(begin, end - begin), "");
      last_line_ = answer.whole("line", std::numeric_limits<Index>::max());
      last_id_ = answer.has("id") ? answer.as_json("id") : "";
      errors_ += answer.has("error") ? 1 : 0;
      ++count_;
    } catch (const ModelFileError&) {
      throw no_answers(number);
    }
  }
  if (begin == bytes.size()) return;
  if (bytes[begin] != '{') throw no_answers(number);
  if (::ftruncate(file_, static_cast<off_t>(begin)) != 0) throw failed(path_, std::strerror(errno));
}

void AnswersFile::check_continues(const Job& last) const {
  if (last.id == last_id_) return;
  const auto shown = [](const std::string& id) { return id.empty() ? "none" : id; };
  throw UsageError("--out " + path_.string() + ": answers other lines: the id of line " +
                   std::to_string(last.line) + " is " + shown(last_id_) + " there, " +
                   shown(last.id) + " here");
}

void AnswersFile::add(std::string_view answer) {
  const std::string line = std::string(answer) + "\n";
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t count = ::write(file_, line.data() + done, line.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw failed(path_, std::string("cannot be written: ") + std::strerror(errno));
    done += static_cast<std::size_t>(count);
  }
}

}  // namespace paligemma::cli
