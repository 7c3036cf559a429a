#include "cli/kernel_programs.h"

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "engine/devices.h"
#include "tensor/paths.h"

namespace paligemma::cli {

namespace fs = std::filesystem;

namespace {

constexpr const char *kCuda = "paligemma_cuda", *kEmulated = "paligemma_emulated";

// The program of that name in the folder of this one, wherever links to this one lie; nothing if there is
// none, or if it is this one, which would start itself for ever.
fs::path beside_this(const char* name) {
  const fs::path self = "/proc/self/exe";
  std::error_code error;
  const fs::path program = fs::read_symlink(self, error).parent_path() / name;
  const bool fits =
      program.is_absolute() && is_file(program) && !fs::equivalent(program, self, error);
  return fits ? program : fs::path();
}

// As CUDA's runtime looks for it.
bool has_driver() {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY);
  if (driver) dlclose(driver);
  return driver != nullptr;
}

bool may_run_on_gpu(Command command) {
  switch (command) {
    case Command::none:
    case Command::caption:
    case Command::answer:
    case Command::detect:
    case Command::segment:
    case Command::ocr:
    case Command::embed:
    case Command::search:
    case Command::eval:
      return true;
    default:
      return false;
  }
}

// Nothing where the CPU answers.
fs::path program_for(const Options& options) {
  const std::string& device = options.device;
  if (device == "cpu" || options.reference || options.kernels != "auto") return {};
  const char* name = device == "emulated" ? kEmulated : kCuda;
  fs::path program = beside_this(name);
  if (device == "auto") return !program.empty() && has_driver() ? program : fs::path();
  if (!program.empty()) return program;
  throw std::runtime_error("--device " + device + " needs " + name + " beside this program; " +
                           (name == kCuda ? "where there is an nvcc, " : "") +
                           "cmake --build build/cpu --target " + name + " builds it");
}

// What that program lists; nothing if it cannot be started.
std::string list_of(const fs::path& program) {
  int ends[2];
  if (pipe(ends) != 0) return "";
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execl(program.c_str(), program.c_str(), "--list-devices", nullptr);
    _exit(1);
  }
  close(ends[1]);
  std::string list;
  char block[4096];
  for (ssize_t n; (n = read(ends[0], block, sizeof block)) > 0;) {
    list.append(block, static_cast<std::size_t>(n));
  }
  close(ends[0]);
  if (child > 0) waitpid(child, nullptr, 0);
  return list;
}

}  // namespace

void go_on_with_kernels(const Options& options, char** arguments) {
  if (has_cuda() || !may_run_on_gpu(options.command)) return;
  const fs::path program = program_for(options);
  if (program.empty()) return;
  execv(program.c_str(), arguments);
  throw std::runtime_error(program.string() + ": cannot be started: " + std::strerror(errno));
}

std::string all_devices() {
  std::string list = device_list();
  if (has_cuda()) return list;
  for (const char* name : {kCuda, kEmulated}) {
    const fs::path program = beside_this(name);
    if (program.empty()) continue;
    const std::string theirs = list_of(program);
    list += theirs.substr(theirs.find('\n') + 1);  // behind its CPU, which is the same
  }
  return list;
}

}  // namespace paligemma::cli
