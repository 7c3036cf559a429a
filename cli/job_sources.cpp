#include "cli/job_sources.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <system_error>

#include "cli/options.h"
#include "cli/prompt_file.h"
#include "tensor/mapped_file.h"
#include "tensor/paths.h"

namespace paligemma::cli {

namespace fs = std::filesystem;

Shard::Shard(const std::string& text) {
  if (text.empty()) return;
  int end = 0;
  const bool is_read = std::sscanf(text.c_str(), "%td/%td%n", &number, &count, &end) == 2 &&
                       static_cast<std::size_t>(end) == text.size();
  const bool is_plain = text.find_first_not_of("0123456789/") == text.npos && text.size() <= 20;
  if (!is_read || !is_plain || count < 1 || number >= count) {
    throw UsageError("--shard " + text + ": must be I/N, with I from 0 to N - 1");
  }
}

JobsOfLines::JobsOfLines(const std::string& path, const Shard& shard, const AnswersFile* answered)
    : path_(path),
      folder_(path == "-" ? fs::path() : fs::path(path).parent_path()),
      shard_(shard),
      answered_(answered),
      lines_(path) {}

std::optional<Job> JobsOfLines::next() {
  const Index last = answered_ == nullptr ? 0 : answered_->last_line();
  while (const std::optional<std::string> line = lines_.next()) {
    ++number_;
    const std::string_view text = number_ == 1 ? without_byte_order_mark(*line) : *line;
    if (text.find_first_not_of(" \t") == text.npos || !shard_.has(number_)) continue;
    if (number_ < last) continue;
    Job job = read_job(text, number_, folder_);
    if (number_ > last) return job;
    answered_->check_continues(job);
    is_continued_ = true;
  }
  if (last > 0 && !is_continued_) {
    throw UsageError("--out answers line " + std::to_string(last) + ", which is not asked here");
  }
  return std::nullopt;
}

Index JobsOfLines::count() const {
  std::error_code error;
  if (path_ == "-" || !is_file(path_) || fs::file_size(path_, error) == 0) return 0;
  const MappedFile file(path_);
  return std::count(file.text().begin(), file.text().end(), '\n') / shard_.count;
}

JobsOfFolder::JobsOfFolder(const fs::path& folder, const std::string& prompt) {
  std::error_code error;
  std::set<std::string> names;
  for (fs::directory_iterator entry(folder, error), end; entry != end; entry.increment(error)) {
    if (!is_folder(entry->path()) && !entry->is_other(error))
      names.insert(entry->path().filename());
  }
  if (names.empty()) {
    throw UsageError(folder.string() +
                     (error ? ": " + error.message() : ": no picture is in this folder"));
  }
  for (const std::string& name : names) {
    jobs_.push_back(
        {.line = count() + 1, .images = {name}, .files = {folder / name}, .prompt = prompt});
  }
}

std::optional<Job> JobsOfFolder::next() {
  if (at_ == jobs_.size()) return std::nullopt;
  return jobs_[at_++];
}

}  // namespace paligemma::cli
