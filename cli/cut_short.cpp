#include "cli/cut_short.h"

#include <unistd.h>

#include <csignal>
#include <cstring>

#include "tensor/mapped_file.h"

namespace paligemma::cli {
namespace {

void say(const char* text) { static_cast<void>(!::write(STDERR_FILENO, text, std::strlen(text))); }

// Only what a signal's handler may call. Any other SIGBUS comes again, and ends the program as ever.
void handle(int signal, siginfo_t* info, void*) {
  const char* path = file_at(info->si_addr);
  if (path == nullptr) {
    std::signal(signal, SIG_DFL);
    return;
  }
  say("paligemma: ");
  say(path);
  say(": was cut short while it was in use, or cannot be read to its end\n");
  ::_exit(4);
}

}  // namespace

void report_files_cut_short() {
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace paligemma::cli
