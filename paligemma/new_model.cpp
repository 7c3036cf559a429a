#include "paligemma/new_model.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "tensor/paths.h"
#include "tensor/write_file.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

const std::string kWeights = "model.safetensors";

// Beside the weights: what is read here, and what transformers' processor reads.
constexpr const char* kOtherFiles[] = {
    "config.json",         "generation_config.json", "preprocessor_config.json",
    "tokenizer.model",     "processor_config.json",  "vae-oid.npz",
    "tokenizer.json",      "tokenizer_config.json",  "special_tokens_map.json",
    "added_tokens.json",   "chat_template.json",     "chat_template.jinja",
    "image_converter.json"};
constexpr const char* kKerasTokenizer = "assets/tokenizer/vocabulary.spm";

void need(bool works, const fs::path& path, const std::string& problem) {
  if (!works) throw std::runtime_error(path.string() + ": " + problem);
}

// The folder and those above it, as far as they are missing, the uppermost first.
std::vector<fs::path> missing_folders(const fs::path& folder) {
  std::vector<fs::path> missing;
  for (fs::path path = folder; !path.empty() && !is_there(path); path = path.parent_path()) {
    missing.insert(missing.begin(), path);
  }
  return missing;
}

}  // namespace

NewModel::NewModel(const fs::path& folder, bool replaces)
    : NewModel(folder, missing_folders(folder)) {
  std::error_code error;
  fs::create_directories(folder, error);
  need(!error, folder, error.message());
  lock();
  const bool has_model =
      (is_there(folder / kWeights) && !replaces) || is_there(folder / (kWeights + ".index.json"));
  need(!has_model, folder, "there is a model already");
}

NewModel::~NewModel() {
  std::error_code error;  // of a path where nothing is, or a folder with something in it
  for (auto path = made_.rbegin(); path != made_.rend(); ++path) fs::remove(*path, error);
  if (lock_ >= 0) ::close(lock_);
}

// The lock is on the file of the weights, so that it goes with the run; a run that has ended meanwhile has
// given the file another name.
void NewModel::lock() {
  const fs::path part = weights();
  lock_ = ::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  need(lock_ >= 0, folder_ / kWeights, "cannot be written");
  struct stat locked {};
  struct stat named {};
  const bool is_ours = ::flock(lock_, LOCK_EX | LOCK_NB) == 0 && ::fstat(lock_, &locked) == 0 &&
                       ::stat(part.c_str(), &named) == 0 && locked.st_ino == named.st_ino;
  need(is_ours, folder_ / kWeights, "is being written by another run");
  made_.push_back(part);
}

fs::path NewModel::weights() const { return part_of(kWeights); }

void NewModel::copy(const fs::path& from, const std::string& name) {
  std::error_code error;
  fs::remove(part_of(name), error);
  made_.push_back(part_of(name));
  fs::copy_file(from, part_of(name), error);
  need(!error, folder_ / name, error.message());
}

void NewModel::copy_beside_weights(const fs::path& other) {
  std::error_code error;
  need(!fs::equivalent(other, folder_, error), folder_, "there is a model already");
  for (const char* name : kOtherFiles) {
    if (std::ranges::find(made_, part_of(name)) != made_.end()) continue;
    const bool is_there_too = is_there(other / name);
    need(is_there_too || !is_there(folder_ / name), folder_ / name,
         "would change what the model says");
    if (is_there_too) copy(other / name, name);
  }
  if (is_there(other / kKerasTokenizer)) copy(other / kKerasTokenizer, "tokenizer.model");
}

void NewModel::write(std::string_view bytes, const std::string& name) {
  made_.push_back(part_of(name));
  write_file(part_of(name), bytes);
}

// The weights last: a folder without them is no model.
void NewModel::finish() {
  std::error_code error;
  for (auto part = made_.rbegin(); part != made_.rend(); ++part) {
    if (part->extension() != ".part") continue;
    fs::path path = *part;
    fs::rename(*part, path.replace_extension(), error);
    need(!error, path, error.message());
  }
  made_.clear();
}

fs::path NewModel::part_of(const std::string& name) const { return folder_ / (name + ".part"); }

}  // namespace paligemma
