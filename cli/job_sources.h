// Where jobs come from: the lines of a file, or a folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/answers_file.h"
#include "cli/job.h"
#include "cli/lines.h"

namespace paligemma::cli {

class Jobs {
 public:
  virtual ~Jobs() = default;
  virtual std::optional<Job> next() = 0;  // by another thread
  virtual void stop() {}                  // next() does not wait any longer
  virtual Index count() const = 0;        // 0: nobody knows
};

// "2/10": of every ten lines the third. Throws UsageError.
struct Shard {
  Index number = 0, count = 1;

  explicit Shard(const std::string& text);
  bool has(Index line) const { return (line - 1) % count == number; }
};

// The lines that a shard has and that are not answered yet; `answered` may be null.
class JobsOfLines : public Jobs {
 public:
  JobsOfLines(const std::string& path, const Shard& shard, const AnswersFile* answered);
  std::optional<Job> next()
      override;  // throws UsageError if these are not the lines that are answered
  void stop() override { lines_.stop(); }
  Index count() const override;

 private:
  const std::string path_;
  const std::filesystem::path folder_;
  const Shard shard_;
  const AnswersFile* answered_;
  Lines lines_;
  Index number_ = 0;
  bool is_continued_ = false;
};

// All files, whatever they are called, in the bytewise order of their names.
class JobsOfFolder : public Jobs {
 public:
  JobsOfFolder(const std::filesystem::path& folder, const std::string& prompt);
  std::optional<Job> next() override;
  Index count() const override { return static_cast<Index>(jobs_.size()); }

 private:
  std::vector<Job> jobs_;
  std::size_t at_ = 0;
};

}  // namespace paligemma::cli
