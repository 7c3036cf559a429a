#include "fast/core/proof_cache.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string_view>
#include <vector>

#include "tensor/paths.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMostProofs = 64, kLongestProof = 100,
                      kMostBytes = kMostProofs * (kLongestProof + 1);

fs::path file_in(const fs::path& folder) { return folder / "proven-kernels"; }

// The whole lines of the file's beginning, but for those that are no proofs.
std::vector<std::string> lines_of(const fs::path& path) {
  std::vector<std::string> lines;
  if (!is_file(path)) return lines;
  std::ifstream file(path, std::ios::binary);
  std::string text(kMostBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  for (std::size_t end; (end = text.find('\n')) != text.npos; text.erase(0, end + 1)) {
    if (end <= kLongestProof) lines.push_back(text.substr(0, end));
  }
  return lines;
}

bool write_all(int file, std::string_view text) {
  return write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// FNV-1a.
std::string hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

}  // namespace

bool ProofCache::has(const std::string& proof) const {
  if (folder_.empty()) return false;
  const auto lines = lines_of(file_in(folder_));
  return std::find(lines.begin(), lines.end(), proof) != lines.end();
}

bool ProofCache::is_writable() const {
  if (folder_.empty()) return false;
  std::error_code error;
  for (const fs::path& folder : {folder_.parent_path(), folder_}) {
    if (fs::create_directory(folder, error)) {
      fs::permissions(folder, fs::perms::owner_all, error);
    }
  }
  return is_folder(folder_) && access(folder_.c_str(), W_OK | X_OK) == 0;
}

void ProofCache::keep(const std::string& proof) const {
  if (!is_writable()) return;
  auto lines = lines_of(file_in(folder_));
  lines.push_back(proof);
  if (lines.size() > kMostProofs) lines.erase(lines.begin(), lines.end() - kMostProofs);
  std::string text, part = file_in(folder_).string() + ".XXXXXX";
  for (const std::string& line : lines) text += line + "\n";
  const int file = mkstemp(part.data());
  if (file < 0) return;
  const bool written = write_all(file, text);
  if (close(file) != 0 || !written || std::rename(part.c_str(), file_in(folder_).c_str()) != 0) {
    unlink(part.c_str());
  }
}

fs::path user_cache() {
  for (const auto& [variable, below] :
       {std::pair{"XDG_CACHE_HOME", ""}, std::pair{"HOME", ".cache"}}) {
    const char* const value = std::getenv(variable);
    if (value != nullptr && *value == '/') return fs::path(value) / below / "paligemma";
  }
  return {};
}

std::string processor_id(const fs::path& cpuinfo) {
  constexpr std::array kKeys{"vendor_id",   "cpu family", "model",        "model name",
                             "stepping",    "microcode",  "flags",        "CPU implementer",
                             "CPU variant", "CPU part",   "CPU revision", "Features"};
  std::ifstream file(cpuinfo);
  std::string known;
  for (std::string line; std::getline(file, line) && !line.empty();) {
    const std::string key = line.substr(0, line.find_last_not_of(" \t", line.find(':') - 1) + 1);
    if (std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end()) known += line + "\n";
  }
  return known.empty() ? "" : hash_of(known);
}

}  // namespace paligemma
