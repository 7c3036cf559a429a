// The program `paligemma`, started as a user starts it, and what he sees of it.
//
// It does not outlive the test, whose time limits are CTest's (cmake/piece.cmake). Models and
// caches of the machine's user are out of its sight: HOME is a folder that does not exist, and no
// variable that names a model is passed on.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "cli/source_tree.h"
#include "tests/support/temporary_folder.h"

namespace paligemma::test {

struct Ran {
  int exit_code;  // 128 + the signal's number if a signal ended it
  std::string out, err;
};

struct Surroundings {
  std::string input = {};                               // standard input
  std::map<std::string, std::string> environment = {};  // on top of ours
  std::string out = {};  // a file for standard output instead, "/dev/full"; "closed" closes it
};

namespace detail {

inline std::string contents_of(int file) {
  std::string text;
  char block[4096];
  ::lseek(file, 0, SEEK_SET);
  for (ssize_t n; (n = ::read(file, block, sizeof block)) > 0;) {
    text.append(block, static_cast<std::size_t>(n));
  }
  return text;
}

inline std::vector<std::string> environment_with(std::map<std::string, std::string> variables) {
  variables.try_emplace("HOME", "/nonexistent");
  variables.try_emplace("OMP_NUM_THREADS", "1");  // tests run side by side
  variables.try_emplace("CUDA_VISIBLE_DEVICES",
                        "");  // and know what `auto` is, with or without a GPU
  for (char** variable = environ; *variable; ++variable) {
    const std::string text = *variable, name = text.substr(0, text.find('='));
    const bool hidden = name.starts_with("HF_") || name.starts_with("HUGGINGFACE_") ||
                        name.starts_with("KAGGLEHUB_") || name.starts_with("PALIGEMMA_") ||
                        name == "XDG_CACHE_HOME";
    if (!hidden) variables.try_emplace(name, text.substr(std::min(text.size(), name.size() + 1)));
  }
  std::vector<std::string> result;
  for (const auto& [name, value] : variables) result.push_back(name + "=" + value);
  return result;
}

inline std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace detail

inline Ran run_command(std::vector<std::string> words, const Surroundings& around = {}) {
  // Files in memory: nothing blocks, however much is written.
  const int in = ::memfd_create("stdin", MFD_CLOEXEC), out = ::memfd_create("stdout", MFD_CLOEXEC),
            err = ::memfd_create("stderr", MFD_CLOEXEC);
  if (in < 0 || out < 0 || err < 0) throw std::runtime_error("memfd_create");
  const auto size = static_cast<ssize_t>(around.input.size());
  if (::write(in, around.input.data(), around.input.size()) != size) {
    throw std::runtime_error("write");
  }
  ::lseek(in, 0, SEEK_SET);
  auto variables = detail::environment_with(around.environment);
  const auto arguments = detail::pointers(words), environment = detail::pointers(variables);

  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) {
    ::dup2(in, STDIN_FILENO);
    ::dup2(around.out.empty() ? out : ::open(around.out.c_str(), O_WRONLY), STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    if (around.out == "closed") ::close(STDOUT_FILENO);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execvpe(arguments[0], arguments.data(), environment.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  Ran ran{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          detail::contents_of(out), detail::contents_of(err)};
  for (int file : {in, out, err}) ::close(file);
  return ran;
}

// The program that is tested.
inline std::string program() { return std::string(kBuildTree) + "/paligemma"; }

inline Ran run_program(std::vector<std::string> arguments, const Surroundings& around = {}) {
  arguments.insert(arguments.begin(), program());
  return run_command(std::move(arguments), around);
}

// As which it goes on for --device emulated.
inline Ran run_emulated(std::vector<std::string> arguments, const Surroundings& around = {}) {
  arguments.insert(arguments.begin(), program() + "_emulated");
  return run_command(std::move(arguments), around);
}

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::ostream& operator<<(std::ostream& stream, const Ran& ran) {
  return stream << "exit code " << ran.exit_code << "\nstdout: " << ran.out
                << "\nstderr: " << ran.err;
}

inline std::size_t count_lines(std::string_view text) {
  std::size_t lines = 0;
  for (char c : text) lines += c == '\n';
  return lines;
}

// The note on an answer that -n has ended.
inline std::string cut_at(int token) {
  return "paligemma: note: the answer is cut off at token " + std::to_string(token) +
         "; -n allows more\n";
}

// A refusal: this exit code, nothing on stdout, and one line on stderr that says all of `words`.
inline ::testing::AssertionResult refuses(const Ran& ran, int exit_code,
                                          std::initializer_list<std::string> words = {}) {
  bool says_all = true;
  for (const std::string& word : words) says_all &= ran.err.find(word) != std::string::npos;
  const bool one_line = ran.err.starts_with("paligemma: ") && ran.err.ends_with('\n') &&
                        count_lines(ran.err) == 1 && ran.err.size() < 600;
  if (ran.exit_code == exit_code && ran.out.empty() && one_line && says_all) {
    return ::testing::AssertionSuccess();
  }
  auto failure = ::testing::AssertionFailure();
  failure << ran << "expected: exit code " << exit_code << ", one line";
  for (const std::string& word : words) failure << ", \"" << word << "\"";
  return failure;
}

}  // namespace paligemma::test
