#include "cli/training_log.h"

#include <fstream>
#include <utility>

#include "cli/options.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/mapped_file.h"
#include "tensor/paths.h"
#include "tensor/write_file.h"

namespace paligemma::cli {
namespace {

// The lines of steps 1 to `last`. What stands behind the last newline was cut short.
std::string kept_lines(const std::filesystem::path& path, Index last) {
  std::error_code error;
  if (!is_file(path) || std::filesystem::file_size(path, error) == 0) return "";
  const MappedFile file(path);
  const std::string_view text = file.text();
  std::string kept;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != text.npos; begin = end + 1) {
    const std::string_view line = text.substr(begin, end - begin);
    try {
      const JsonFields fields(line, "");
      if (fields.whole("step", Index{1} << 40) > last) break;
      static_cast<void>(fields.as_json("grad_norm"));
    } catch (const ModelFileError&) {
      throw UsageError(path.string() + ": is no log of training, so it is left as it is");
    }
    kept += std::string(line) + "\n";
  }
  return kept;
}

}  // namespace

TrainingLog::TrainingLog(std::filesystem::path path, Index last) : path_(std::move(path)) {
  if (!path_.empty()) write_file(path_, kept_lines(path_, last));
}

void TrainingLog::add(const StepReport& report) {
  if (path_.empty()) return;
  std::vector<Field> fields{{"step", report.step},           {"loss", report.loss},
                            {"grad_norm", report.grad_norm}, {"lr", report.rate},
                            {"tokens", report.tokens},       {"seconds", report.seconds}};
  if (report.validation_loss) fields.push_back({"validation_loss", *report.validation_loss});
  std::ofstream file(path_, std::ios::binary | std::ios::app);
  file << object(fields).text() << "\n";
  file.close();
  if (file.fail()) throw std::runtime_error(path_.string() + ": cannot be written");
}

}  // namespace paligemma::cli
