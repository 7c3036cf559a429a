#include "tensor/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace paligemma {
namespace {

// No handler of the parent's sees what happens here, and no core file is left.
[[noreturn]] void run(const std::function<void(const Say&)>& work, std::chrono::milliseconds limit,
                      int to) {
  for (const int number : {SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGALRM}) {
    signal(number, SIG_DFL);
  }
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_UNBLOCK, &all, nullptr);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
  const std::chrono::microseconds rest = limit - seconds;
  const itimerval once{{0, 0}, {seconds.count(), rest.count()}};
  setitimer(ITIMER_REAL, &once, nullptr);
  try {
    work([to](const std::string& line) {
      const std::string ended = line + "\n";
      if (write(to, ended.data(), ended.size()) < 0) _exit(1);
    });
  } catch (...) {
    _exit(1);
  }
  _exit(0);
}

std::string here(const std::function<void(const Say&)>& work) {
  std::string last;
  work([&](const std::string& line) { last = line; });
  return last;
}

std::string last_line(const std::string& text) {
  const auto end = text.rfind('\n');
  if (end == text.npos || end == 0) return "";
  const auto begin = text.rfind('\n', end - 1);
  return text.substr(begin + 1, end - begin - 1);  // from 0 if there is no other
}

}  // namespace

std::string last_words(const std::function<void(const Say&)>& work,
                       std::chrono::milliseconds limit) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return here(work);
  const pid_t child = fork();
  if (child == 0) run(work, limit, ends[1]);
  close(ends[1]);
  std::string text;
  char some[512];
  for (ssize_t n = 1; child > 0 && n != 0;) {
    n = read(ends[0], some, sizeof some);
    if (n > 0) text.append(some, static_cast<std::size_t>(n));
    if (n < 0 && errno != EINTR) break;
  }
  close(ends[0]);
  if (child < 0) return here(work);
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) continue;
  return last_line(text);
}

}  // namespace paligemma
