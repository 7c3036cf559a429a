#include "cli/training_run.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/file.h>
#include <unistd.h>

#include <limits>
#include <stdexcept>

#include "cli/options.h"
#include "tensor/paths.h"

namespace paligemma::cli {

namespace fs = std::filesystem;

namespace {

volatile std::sig_atomic_t seen = 0;

void note_signal(int number) {
  seen = number;
  std::signal(number, SIG_DFL);
}

}  // namespace

RunFolder::RunFolder(const fs::path& path, const fs::path& mark) {
  std::error_code error;
  if (is_there(path) && !is_folder(path))
    throw UsageError("--out " + path.string() + ": is no folder");
  if (is_folder(path) && !fs::is_empty(path, error) && !is_there(mark)) {
    throw UsageError("--out " + path.string() + ": holds something else than a run's checkpoint");
  }
  fs::create_directories(path, error);
  lock_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (error || lock_ < 0) throw std::runtime_error(path.string() + ": cannot be written");
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock_);
    throw std::runtime_error(path.string() + ": is being written by another run");
  }
}

RunFolder::~RunFolder() { ::close(lock_); }

RunState saved_state(const fs::path& folder, const std::string& run, Parameters& parameters,
                     Optimizer& optimizer) {
  try {
    RunState state = load_run(folder, run, parameters.all(), optimizer);
    parameters.refresh();
    return state;
  } catch (const OtherRunError& error) {
    throw UsageError(std::string("--out ") + error.what());
  }
}

void note_signals() {
  for (const int number : {SIGINT, SIGTERM}) {
    if (std::signal(number, note_signal) == SIG_IGN) std::signal(number, SIG_IGN);
  }
}

int signal_seen() { return seen; }

void keep_memory() {
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif
}

}  // namespace paligemma::cli
