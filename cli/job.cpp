#include "cli/job.h"

#include <vector>

#include "cli/lines.h"
#include "cli/picture_name.h"
#include "processing/image_file.h"
#include "tensor/errors.h"
#include "tensor/json.h"

namespace paligemma::cli {
namespace {

std::string image_of(const JsonFields& fields) {
  if (!fields.has("images")) return fields.text("image");
  if (fields.has("image")) fields.fail("images", "beside \"image\"");
  const std::vector<std::string> all = fields.texts("images");
  if (all.size() != 1) {
    fields.fail("images", std::to_string(all.size()) + " pictures; one, for now");
  }
  return all[0];
}

}  // namespace

Job read_job(std::string_view text, Index line, const std::filesystem::path& folder) {
  Job job{.line = line};
  try {
    if (text.size() > Lines::kLongest) throw ModelFileError("longer than 1 MiB");
    const JsonFields fields(text, "line " + std::to_string(line));
    if (fields.has("id")) {
      if (!fields.is_text("id") && !fields.is_number("id"))
        fields.fail("id", "not a text or a number");
      job.id = fields.as_json("id");
    }
    job.image = image_of(fields);
    if (job.image == "-") fields.fail("image", "\"-\" is no file");
    job.file = folder / picture_path(job.image);
    job.prompt = fields.text("prompt");
    constexpr Index kMostTokens = 1 << 24;
    if (fields.has("max_tokens")) job.max_tokens = fields.size("max_tokens", 1, kMostTokens);
  } catch (const ModelFileError& error) {
    job.error = error.what();
  } catch (const ImageError& error) {
    job.error = error.what();
  }
  return job;
}

}  // namespace paligemma::cli
