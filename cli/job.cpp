#include "cli/job.h"

#include "cli/lines.h"
#include "cli/picture_name.h"
#include "processing/image_file.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "train/examples.h"

namespace paligemma::cli {
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
    job.images = images_of(fields);
    for (const std::string& image : job.images) {
      if (image == "-") fields.fail("image", "\"-\" is no file");
      job.files.push_back(folder / picture_path(image));
    }
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
