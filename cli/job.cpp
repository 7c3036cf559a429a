#include "cli/job.h"

#include <vector>

#include "cli/lines.h"
#include "cli/picture_name.h"
#include "processing/image_file.h"
#include "tensor/errors.h"
#include "tensor/json.h"

namespace paligemma::cli {
namespace {

std::vector<std::string> images_of(const JsonFields& fields) {
  if (!fields.has("images")) return {fields.text("image")};
  if (fields.has("image")) fields.fail("images", "beside \"image\"");
  std::vector<std::string> all = fields.texts("images");
  constexpr std::size_t kMost = 1024;
  if (all.empty() || all.size() > kMost)
    fields.fail("images", std::to_string(all.size()) + " pictures, must be 1 to 1024");
  return all;
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
