// The file of --out: one answer a line, and the place where a run that was cut short goes on.
//
// Each answer says which line it answers. Answers are added in the order of the lines, each by one write, so
// after a kill all but the last line are whole; what stands behind the last newline is cut off and answered
// again.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "cli/job.h"

namespace paligemma::cli {

class AnswersFile {
 public:
  // Opens or makes the file, for this run alone. Throws UsageError if it holds anything but answers, and
  // std::runtime_error if it cannot be written or another run writes it.
  explicit AnswersFile(std::filesystem::path path);
  ~AnswersFile();
  AnswersFile(const AnswersFile&) = delete;
  AnswersFile& operator=(const AnswersFile&) = delete;

  Index last_line() const { return last_line_; }  // that is answered; 0 if none is
  Index count() const { return count_; }          // of the answers that were there
  Index errors() const { return errors_; }        // among them

  // Throws UsageError if the last line that is answered asks for something else.
  void check_continues(const Job& last) const;

  void add(std::string_view answer);  // without the end of its line

 private:
  void read(std::string_view bytes);

  std::filesystem::path path_;
  int file_;
  Index last_line_ = 0, count_ = 0, errors_ = 0;
  std::string last_id_;
};

}  // namespace paligemma::cli
