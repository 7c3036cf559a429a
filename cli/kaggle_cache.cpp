#include "cli/kaggle_cache.h"

#include <algorithm>

#include "cli/environment.h"
#include "paligemma/presets.h"
#include "tensor/errors.h"
#include "tensor/paths.h"

namespace paligemma::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPrefix = "kaggle://";

// 1 to 18 digits.
std::optional<std::int64_t> number(const std::string& text) {
  const bool is_number =
      !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == text.npos;
  return is_number ? std::optional(std::stoll(text)) : std::nullopt;
}

// A whole download leaves VERSION.complete behind it, a file of its own .complete/VERSION/FILE.complete: one
// without is what a download that broke off has left.
std::string file_cut_short(const fs::path& folder) {
  if (is_there(folder.string() + ".complete")) return "";
  const fs::path markers = folder.parent_path() / ".complete" / folder.filename();
  std::vector<std::string> names;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path name = entry->path().lexically_relative(folder);
    if (is_file(entry->path()) && !is_there((markers / name).string() + ".complete")) {
      names.push_back(name);
    }
  }
  const auto first = std::min_element(names.begin(), names.end());
  return first == names.end() ? "" : *first;
}

std::string missing_file(const fs::path& folder, const Options& options) {
  std::string cut_short = file_cut_short(folder);
  if (!cut_short.empty()) return cut_short;
  const bool in_keras = folder.parent_path().parent_path().filename() == "keras";
  const bool has_weights = is_there(folder / "model.weights.h5") ||
                           is_there(folder / "model.weights.json") ||
                           is_there(folder / "model.safetensors");
  if (in_keras && !has_weights && options.command != Command::tokenize) return "model.weights.h5";
  return cli::missing_file(folder, {}, options);
}

std::string how_to_get(const KaggleName& model) {
  const std::string version = model.version ? "/" + std::to_string(*model.version) : "";
  const Preset* preset = find_preset(std::string(kPrefix) + model.path);
  return "It comes with, in Python, kagglehub.model_download('" + model.path + version + "')" +
         (preset ? "; or from the hub, with: " + download_command(preset->hub(), "main") : "");
}

}  // namespace

std::optional<KaggleName> kaggle_name(const std::string& text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  std::vector<std::string> parts{""};
  for (const char c : text.substr(kPrefix.size())) {
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  const bool are_names = std::none_of(parts.begin(), parts.end(), [](const std::string& part) {
    return part.empty() || part.starts_with('.');
  });
  const auto version = parts.size() == 5 ? number(parts[4]) : std::nullopt;
  if (!are_names || parts.size() != (version ? 5 : 4)) {
    throw UsageError(text + ": must be kaggle://OWNER/MODEL/FRAMEWORK/VARIATION[/VERSION]");
  }
  return KaggleName{parts[0] + "/" + parts[1] + "/" + parts[2] + "/" + parts[3], version};
}

fs::path kaggle_cache() {
  return fs::path(environment("KAGGLEHUB_CACHE", with_home("~") + "/.cache/kagglehub")) / "models";
}

std::vector<KaggleModel> kaggle_versions(const std::string& path, const Options& options) {
  std::vector<KaggleModel> all;
  if (path.empty()) return all;
  std::error_code error;
  for (fs::directory_iterator entry(kaggle_cache() / path, error), end; entry != end;
       entry.increment(error)) {
    const auto version = number(entry->path().filename());
    if (version && is_folder(entry->path())) {
      all.push_back({{entry->path(), missing_file(entry->path(), options)}, *version});
    }
  }
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.version > b.version; });
  return all;
}

ModelFolder in_kaggle_cache(const KaggleName& model, const Options& options) {
  if (options.revision != "main") {
    throw UsageError("--revision " + options.revision + ": a model of Kaggle has versions, " +
                     std::string(kPrefix) + model.path + "/VERSION");
  }
  const std::string name = std::string(kPrefix) + model.path +
                           (model.version ? "/" + std::to_string(*model.version) : "");
  const auto all = kaggle_versions(model.path, options);
  auto found = std::find_if(all.begin(), all.end(), [&](const KaggleModel& there) {
    return model.version ? there.version == *model.version : there.missing.empty();
  });
  if (found == all.end() && !model.version) found = all.begin();
  if (found == all.end()) {
    throw NotFoundError(
        "model '" + name + "' is not in " + kaggle_cache().string() +
        (all.empty() ? "" : ", which has version " + std::to_string(all.front().version)) + ". " +
        how_to_get(model));
  }
  if (found->missing.empty()) {
    return {found->folder, name,
            model.version ? ""
                          : "version " + std::to_string(found->version) + " of " + model.path +
                                " is used, the newest in kagglehub's cache"};
  }
  throw NotFoundError("model '" + name + "' is in kagglehub's cache only in part: " +
                      (found->folder / found->missing).string() + " is missing, or not whole. " +
                      how_to_get(model));
}

}  // namespace paligemma::cli
